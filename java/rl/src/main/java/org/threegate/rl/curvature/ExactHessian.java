package org.threegate.rl.curvature;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.analysis.curvature.CurvatureOperator;
import org.threegate.rl.policy.ModelDevice;
import org.threegate.rl.policy.Scopes;

/**
 * Computes products of vectors with the Hessian of an objective, by differentiating twice
 * (Pearlmutter 1994, "Fast exact multiplication by the Hessian"). Products are exact up to rounding
 * in the dtype of the model. {@code FLOAT64} gives fourteen digits.
 *
 * <pre>{@code
 * ExactHessian hessian =
 *     new ExactHessian(
 *         List.of(decoder.parameters().get("model.layers.0.mlp.up_proj.weight")),
 *         () -> decoder.logProbabilities(tokens, mask, 1).mean().neg());
 * double[] product = new double[hessian.dimension()];
 * hessian.apply(new double[product.length], product);
 * }</pre>
 */
public final class ExactHessian implements CurvatureOperator {
  private final List<Tensor> parameters;
  private final Supplier<Tensor> objective;
  private final int dimension;

  /**
   * Creates the operator.
   *
   * @param parameters the parameters, whose flattened concatenation is the coordinates. All others
   *     are constant
   * @param objective computes the scalar objective. It must return the same value at each call
   * @throws IllegalArgumentException when there are no parameters, or 2^31 coordinates or more
   */
  public ExactHessian(List<Tensor> parameters, Supplier<Tensor> objective) {
    long count = parameters.stream().mapToLong(Tensor::numel).sum();
    if (count < 1 || count > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "the parameters must have from 1 to 2^31 - 1 coordinates, but have " + count);
    }
    this.parameters = List.copyOf(parameters);
    this.objective = objective;
    this.dimension = (int) count;
  }

  @Override
  public int dimension() {
    return dimension;
  }

  @Override
  public void apply(double[] vector, double[] product) {
    product(new double[][] {vector}, new double[][] {product});
  }

  /** Runs one forward pass, and one gradient that all products share. */
  @Override
  public double[][] applyAll(double[][] vectors) {
    double[][] products = new double[vectors.length][dimension];
    product(vectors, products);
    return products;
  }

  private void product(double[][] vectors, double[][] products) {
    Scopes.run(
        () -> {
          TensorVector inputs = new TensorVector(parameters.toArray(new Tensor[0]));
          TensorVector gradients =
              torch.grad(
                  new TensorVector(objective.get()),
                  inputs,
                  new TensorVector(),
                  new BoolOptional(true),
                  true,
                  true);
          List<Tensor> own = new ArrayList<>();
          List<Integer> depending = new ArrayList<>();
          for (int i = 0; i < parameters.size(); i++) {
            Tensor gradient = gradients.get(i);
            // The gradient of a parameter that enters linearly is constant, so its derivative is
            // zero.
            if (gradient.defined() && gradient.requires_grad()) {
              own.add(new Tensor(gradient));
              depending.add(i);
            }
          }
          for (int i = 0; i < vectors.length; i++) {
            double[] from = vectors[i];
            double[] to = products[i];
            Arrays.fill(to, 0);
            if (!own.isEmpty()) {
              Scopes.run(() -> once(inputs, own, depending, from, to));
            }
          }
        });
  }

  private void once(
      TensorVector inputs,
      List<Tensor> gradients,
      List<Integer> depending,
      double[] vector,
      double[] product) {
    List<Tensor> along = new ArrayList<>();
    for (int index : depending) {
      along.add(part(vector, index));
    }
    TensorVector second =
        torch.grad(
            new TensorVector(gradients.toArray(new Tensor[0])),
            inputs,
            new TensorVector(along.toArray(new Tensor[0])),
            new BoolOptional(true),
            false,
            true);
    int at = 0;
    for (int i = 0; i < parameters.size(); i++) {
      int count = (int) parameters.get(i).numel();
      if (second.get(i).defined()) {
        Tensor values =
            ModelDevice.onHost(second.get(i).detach()).to(ScalarType.Double).contiguous();
        new DoublePointer(values.data_ptr()).get(product, at, count);
      }
      at += count;
    }
  }

  /** Returns the coordinates of one parameter, in its shape. */
  private Tensor part(double[] vector, int index) {
    int begin = 0;
    for (int i = 0; i < index; i++) {
      begin += (int) parameters.get(i).numel();
    }
    Tensor parameter = parameters.get(index);
    Tensor values =
        torch.empty(new long[] {parameter.numel()}, new TensorOptions(ScalarType.Double), null);
    new DoublePointer(values.data_ptr()).put(vector, begin, (int) parameter.numel());
    return ModelDevice.placed(values).view_as(parameter).to(parameter.scalar_type());
  }
}
