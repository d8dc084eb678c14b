package org.threegate.patch;

import java.util.Optional;
import org.threegate.checkpoint.Tensor;

/**
 * What a patch stores of one changed tensor.
 *
 * @param stored a zstd frame as a U8 vector; the values in {@link PatchFormat#SPARSE}
 * @param positions the positions in {@link PatchFormat#SPARSE}, a vector as long as {@code stored}
 * @param digest hexadecimal digest of the tensor's bytes after the patch, if the patch has it
 * @param baseDigest hexadecimal digest of the tensor's bytes before the patch, if the patch has it
 */
record TensorPatch(
    Tensor stored,
    Optional<Tensor> positions,
    Optional<String> digest,
    Optional<String> baseDigest) {}
