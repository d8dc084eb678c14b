package org.threegate.rl.run;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.kernel.Mask;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.policy.WeightPart;
import org.threegate.run.InvalidInputException;

/** The masks of the weights of a model. The surrounding scope frees the tensors. */
final class WeightMasks {
  private final Decoder model;
  private final Map<String, WeightPart> parts = new LinkedHashMap<>();
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();
  private final Set<String> masked = new HashSet<>();

  WeightMasks(Decoder model) {
    this.model = model;
    model.config().parts().forEach(part -> parts.put(part.name(), part));
  }

  /**
   * Adds the mask of a weight, or of a part of a fused weight or of a weight of all experts. The
   * other parts of that weight may move everywhere, until they have masks.
   *
   * @param where the source of the mask, for errors
   * @throws InvalidInputException when there is no such weight, or it has another shape
   */
  void put(String where, String name, Mask mask) {
    if (model.leftOut().containsKey(name.replaceFirst("(\\[[^\\]]*\\])+$", ""))) {
      return; // it does not move, as there is no such parameter
    }
    WeightPart part = parts.get(name);
    String parameter = part == null ? name : part.parameter();
    Tensor weight = model.parameters().get(parameter);
    if (weight == null) {
      throw new InvalidInputException(
          where + ": mask \"" + name + "\" does not belong to a weight of the model");
    }
    Tensor own = part == null ? weight : part.in(weight);
    boolean fits =
        (part == null ? own.dim() == 2 : own.dim() >= 2)
            && own.size(-1) == mask.columns()
            && own.numel() == mask.rows() * mask.columns();
    if (!fits) {
      throw new InvalidInputException(
          where
              + ": mask \""
              + name
              + "\" is "
              + mask.rows()
              + " x "
              + mask.columns()
              + ", which is not the shape of the weight");
    }
    Tensor values = Tensors.of(mask);
    if (part == null) {
      tensors.put(name, values);
    } else {
      Tensor whole = tensors.computeIfAbsent(parameter, all -> open(weight));
      part.in(whole).copy_(values.view_as(own));
    }
    masked.add(name);
  }

  private static Tensor open(Tensor weight) {
    return torch.ones_like(weight.detach()).to(ScalarType.Bool);
  }

  /** Returns the masks, bool tensors by the names of parameters. */
  Map<String, Tensor> tensors() {
    return tensors;
  }

  /** Returns what has no mask, if something has one: weights, and parts of masked weights. */
  List<String> unmasked() {
    return tensors.isEmpty()
        ? List.of()
        : Stream.concat(
                model.trainable().keySet().stream().filter(name -> !tensors.containsKey(name)),
                parts.values().stream()
                    .filter(part -> tensors.containsKey(part.parameter()))
                    .map(WeightPart::name)
                    .filter(name -> !masked.contains(name)))
            .toList();
  }
}
