// BLAKE3 as its paper defines it: one block after the other, and a recursion over the tree.
#ifndef THREEGATE_REFERENCE_BLAKE3_REFERENCE_H
#define THREEGATE_REFERENCE_BLAKE3_REFERENCE_H

#include <string>

namespace reference {

// Returns the digest in hexadecimal digits.
std::string blake3(const std::string& bytes);

}  // namespace reference

#endif  // THREEGATE_REFERENCE_BLAKE3_REFERENCE_H
