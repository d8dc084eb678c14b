package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.Type;
import org.bytedeco.pytorch.global.torch;

/**
 * Matrices in bfloat16 in the order in which the matrix products of oneDNN read them. A step of
 * sampling multiplies each matrix by a few rows. In its usual order, a matrix is copied into that
 * order at each product, which takes longer than the product.
 *
 * <p>Large matrices are cut into pieces of their outputs, which threads compute. The pieces depend
 * on the shape only, so results do not depend on the number of threads. The copies take as much
 * memory as the matrices.
 */
final class PackedMatrices implements AutoCloseable {
  private static final long PIECE = 1L << 21; // entries
  private static final long MOST_PIECES = 8;
  private static final long ALIGNMENT = 64; // outputs that the kernels compute together

  /** The operators of libtorch. The object code that calls them has no other name. */
  private record Operators(OperatorHandle reorder, OperatorHandle linear, GenericList none) {
    static Operators find() {
      OperatorHandle linear =
          Dispatcher.singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "");
      Type.TypePtr list = linear.schema().arguments().getPointer(4).type();
      GenericList none = new GenericList(new Type.TypePtr(list.get().containedType(0)));
      return new Operators(
          Dispatcher.singleton().findSchemaOrThrow("mkldnn::_reorder_linear_weight", ""),
          linear,
          none);
    }

    Tensor packed(Tensor matrix, long rows) {
      IValueVector stack = new IValueVector(new IValue(matrix), new IValue(rows));
      reorder.callBoxed(stack);
      return new Tensor(stack.get(0).toTensor());
    }

    Tensor product(Tensor rows, Tensor matrix) {
      IValueVector stack =
          new IValueVector(
              new IValue(rows),
              new IValue(matrix),
              new IValue(),
              new IValue("none"),
              new IValue(none),
              new IValue(""));
      linear.callBoxed(stack);
      return new Tensor(stack.get(0).toTensor());
    }
  }

  private final Map<String, List<Tensor>> pieces = new LinkedHashMap<>();

  private PackedMatrices() {}

  /**
   * Packs matrices.
   *
   * @param matrices matrices in bfloat16 on the CPU, by name
   * @param rows the number of rows that they are multiplied by
   * @return the packed matrices, none where the processor or libtorch has no such products
   */
  static PackedMatrices of(Map<String, Tensor> matrices, long rows) {
    PackedMatrices packed = new PackedMatrices();
    try {
      Scopes.keepWithoutGradient(
          () -> {
            Operators operators = Operators.find();
            matrices.forEach(
                (name, matrix) -> packed.pieces.put(name, cut(operators, matrix.detach(), rows)));
            return operators.none();
          });
    } catch (RuntimeException e) {
      // Plain products do the same.
      packed.close();
    }
    return packed;
  }

  private static List<Tensor> cut(Operators operators, Tensor matrix, long rows) {
    long outputs = matrix.size(0);
    long count = Math.max(1, Math.min(MOST_PIECES, matrix.numel() / PIECE));
    long each = (outputs + count - 1) / count;
    each = (each + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    List<Tensor> own = new ArrayList<>();
    for (long begin = 0; begin < outputs; begin += each) {
      Tensor piece = matrix.narrow(0, begin, Math.min(each, outputs - begin));
      own.add(Scopes.own(() -> operators.packed(piece, rows)));
    }
    return own;
  }

  /** Returns whether a matrix is here. */
  boolean contains(String name) {
    return pieces.containsKey(name);
  }

  /**
   * Multiplies rows by a matrix.
   *
   * @param rows [..., inputs]
   * @return [..., outputs], without a bias
   */
  Tensor product(String name, Tensor rows) {
    List<Tensor> own = pieces.get(name);
    if (own.size() == 1) {
      return Scopes.keep(() -> Operators.find().product(rows, own.get(0)));
    }
    List<Callable<Tensor>> parts = new ArrayList<>();
    own.forEach(piece -> parts.add(() -> product(rows, piece)));
    List<Tensor> products = new ArrayList<>();
    Threads.map(parts, products::add);
    Tensor all = Scopes.keep(() -> torch.cat(Tensors.vector(products.toArray(new Tensor[0])), -1));
    products.forEach(Tensor::close);
    return all;
  }

  /** Multiplies on a thread of the pool, and returns what no scope frees. */
  @SuppressWarnings("try")
  private static Tensor product(Tensor rows, Tensor piece) {
    return Scopes.own(
        () -> {
          try (NoGradGuard guard = new NoGradGuard()) {
            return Operators.find().product(rows, piece);
          }
        });
  }

  @Override
  public void close() {
    pieces.values().forEach(own -> own.forEach(Tensor::close));
    pieces.clear();
  }
}
