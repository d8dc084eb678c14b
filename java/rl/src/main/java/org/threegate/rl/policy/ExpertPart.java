package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.bytedeco.pytorch.Tensor;
import org.threegate.rl.policy.FeedForward.Layout;

/**
 * A part of a parameter of all experts: the matrix of one expert, or the biases of the gate or of
 * the first projection, with a row for each expert.
 *
 * <pre>{@code
 * for (WeightPart part : decoder.config().parts()) {
 *   System.out.println(part.name()); // model.layers.0.mlp.experts.gate_up_proj[3][gate]
 * }
 * }</pre>
 *
 * @param parameter the name of the parameter
 * @param expert the number of the expert, if the part is a matrix
 * @param half the layer, if the parameter has two for each expert
 * @param layout how the matrices are stored
 */
public record ExpertPart(String parameter, OptionalInt expert, Optional<Half> half, Layout layout)
    implements WeightPart {
  /** The layers in {@code gate_up_proj}. */
  public enum Half {
    /** The gate. */
    GATE("gate"),
    /** The first projection. */
    UP("up");

    private final String label;

    Half(String label) {
      this.label = label;
    }
  }

  /**
   * Returns the parts of the parameters of a layer, if those of all experts are stored together.
   */
  static List<ExpertPart> of(FeedForward.Experts experts, String prefix) {
    List<ExpertPart> all = new ArrayList<>();
    Layout layout = experts.layout();
    if (layout != Layout.SEPARATE) {
      for (int i = 0; i < experts.count(); i++) {
        for (Half half : Half.values()) {
          all.add(
              new ExpertPart(
                  prefix + "gate_up_proj", OptionalInt.of(i), Optional.of(half), layout));
        }
      }
      for (int i = 0; i < experts.count(); i++) {
        all.add(new ExpertPart(prefix + "down_proj", OptionalInt.of(i), Optional.empty(), layout));
      }
    }
    if (layout == Layout.TRANSPOSED) {
      for (Half half : Half.values()) {
        all.add(
            new ExpertPart(
                prefix + "gate_up_proj_bias", OptionalInt.empty(), Optional.of(half), layout));
      }
    }
    return all;
  }

  @Override
  public boolean isMatrix() {
    return expert.isPresent();
  }

  @Override
  public String name() {
    String number = expert.isPresent() ? "[" + expert.getAsInt() + ']' : "";
    return parameter + number + half.map(own -> '[' + own.label + ']').orElse("");
  }

  @Override
  public Tensor in(Tensor whole) {
    Tensor own = expert.isPresent() ? whole.select(0, expert.getAsInt()) : whole;
    if (half.isEmpty()) {
      return own;
    }
    int second = half.get() == Half.UP ? 1 : 0;
    if (layout == Layout.TRANSPOSED) {
      return own.view(own.size(0), own.size(1) / 2, 2).select(2, second);
    }
    long rows = own.size(0) / 2;
    return own.narrow(0, second * rows, rows);
  }

  @Override
  public Tensor matrix(Tensor whole) {
    return layout == Layout.TRANSPOSED ? in(whole).t() : in(whole);
  }
}
