package org.threegate.patch;

import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;

/**
 * How a tensor is divided. An element has the bytes of the tensor's dtype, or one byte where
 * elements share bytes. Elements are compared in blocks that fit a processor's cache, and encoded
 * in chunks of a fixed number of elements, so that memory does not depend on the tensor's size.
 */
final class ChunkLayout {
  /** Elements of a chunk; the last chunk of a tensor may be shorter. */
  static final int CHUNK = 1 << 22;

  private static final int BLOCK_BYTES = 1 << 20;

  private ChunkLayout() {}

  /** Returns the bytes of an element, at least 1. */
  static int elementBytes(Tensor tensor) {
    int bits = tensor.type().bits();
    return bits % 8 == 0 ? bits / 8 : 1;
  }

  /** Returns the number of elements of a tensor. */
  static long elements(Tensor tensor) {
    return tensor.bytes() / elementBytes(tensor);
  }

  /** Returns the number of elements of the largest chunk of a tensor. */
  static int largestChunk(Tensor tensor) {
    return (int) Math.min(CHUNK, elements(tensor));
  }

  /** Returns the number of elements of the chunk that begins at element {@code begin}. */
  static int chunkAt(Tensor tensor, long begin) {
    return (int) Math.min(CHUNK, elements(tensor) - begin);
  }

  /** Returns the number of elements of a block. */
  static int block(Tensor tensor) {
    return BLOCK_BYTES / elementBytes(tensor);
  }

  /** Returns the dtype in which single elements are stored: U8 where elements share bytes. */
  static TensorType elementType(Tensor tensor) {
    return tensor.type().bits() % 8 == 0 ? tensor.type() : TensorType.U8;
  }
}
