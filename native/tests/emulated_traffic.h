// What the emulated device was asked for, see host_emulation/runtime.cpp.
#ifndef THREEGATE_TESTS_EMULATED_TRAFFIC_H
#define THREEGATE_TESTS_EMULATED_TRAFFIC_H

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>

namespace support {

struct Traffic {
  uint64_t waits;  // of the host, for work that was not done
  uint64_t copies;
  uint64_t bytes;
};

inline Traffic emulated_traffic() {
  void* library = dlopen(std::getenv("THREEGATE_CUDA_LIBRARY"), RTLD_NOW | RTLD_NOLOAD);
  const auto read = reinterpret_cast<void (*)(uint64_t*)>(dlsym(library, "tg_emulated_traffic"));
  uint64_t numbers[3] = {};
  read(&numbers[0]);
  return {numbers[0], numbers[1], numbers[2]};
}

}  // namespace support

#endif  // THREEGATE_TESTS_EMULATED_TRAFFIC_H
