// The model name of the processor, from /proc/cpuinfo.
#ifndef THREEGATE_API_PROCESSOR_NAME_H
#define THREEGATE_API_PROCESSOR_NAME_H

#include <istream>
#include <string>

namespace threegate {

// `info` is the text of /proc/cpuinfo. AArch64 has no model names there, but numbers of the implementer and of its design. The
// designs of servers have a name here, all others are given by their numbers.
inline std::string processor_name(std::istream& info) {
  struct Design {
    const char* implementer;
    const char* part;
    const char* name;
  };
  constexpr Design kDesigns[] = {{"0x41", "0xd0c", "Arm Neoverse N1"}, {"0x41", "0xd40", "Arm Neoverse V1"},
                                 {"0x41", "0xd49", "Arm Neoverse N2"}, {"0x41", "0xd4f", "Arm Neoverse V2"},
                                 {"0x41", "0xd84", "Arm Neoverse V3"}, {"0x41", "0xd8e", "Arm Neoverse N3"}};
  std::string implementer;
  std::string part;
  std::string line;
  while (std::getline(info, line)) {
    const auto colon = line.find(": ");
    if (colon == std::string::npos) {
      continue;
    }
    const std::string value = line.substr(colon + 2);
    if (line.rfind("model name", 0) == 0) {
      return value;
    }
    if (line.rfind("CPU implementer", 0) == 0) {
      implementer = value;
    } else if (line.rfind("CPU part", 0) == 0) {
      part = value;
    }
  }
  for (const Design& design : kDesigns) {
    if (implementer == design.implementer && part == design.part) {
      return design.name;
    }
  }
  return part.empty() ? "unknown processor" : "AArch64 implementer " + implementer + ", part " + part;
}

}  // namespace threegate

#endif  // THREEGATE_API_PROCESSOR_NAME_H
