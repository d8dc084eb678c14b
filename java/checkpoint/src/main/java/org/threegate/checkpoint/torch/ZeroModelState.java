package org.threegate.checkpoint.torch;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.threegate.checkpoint.torch.PickleValue.Dictionary;
import org.threegate.checkpoint.torch.PickleValue.Plain;
import org.threegate.checkpoint.torch.PickleValue.Sequence;
import org.threegate.checkpoint.torch.PickleValue.Strided;
import org.threegate.checkpoint.torch.PickleValue.Text;
import org.threegate.checkpoint.torch.PickleValue.Whole;

/**
 * A file {@code *_model_states.pt} of DeepSpeed's ZeRO: how large the parameters are, whose entries
 * the optimizer's files hold, and the tensors that no optimizer changes.
 *
 * @param module tensors of the module as the process held them
 * @param buffers names of those that are no parameters
 * @param shapes dimensions of the parameters, for each group of the optimizer, in its order
 * @param shared names of parameters that are others: the name, and that of the other one
 * @param frozenShapes dimensions of the parameters that are not trained
 * @param frozen what the process holds of the parameters that are not trained
 */
public record ZeroModelState(
    Map<String, TorchTensor> module,
    Set<String> buffers,
    List<Map<String, List<Long>>> shapes,
    Map<String, String> shared,
    Map<String, List<Long>> frozenShapes,
    Map<String, TorchTensor> frozen) {
  /** Copies the collections; their order is kept. */
  public ZeroModelState {
    module = ordered(module);
    buffers = Collections.unmodifiableSet(new LinkedHashSet<>(buffers));
    shapes = shapes.stream().map(ZeroModelState::ordered).toList();
    shared = ordered(shared);
    frozenShapes = ordered(frozenShapes);
    frozen = ordered(frozen);
  }

  private static <T> Map<String, T> ordered(Map<String, T> map) {
    return Collections.unmodifiableMap(new LinkedHashMap<>(map));
  }

  /**
   * Reads a file.
   *
   * @param source the file
   * @return its contents
   * @throws org.threegate.run.InvalidInputException if the file violates the format, or names
   *     anything but its classes
   */
  public static ZeroModelState read(ByteSource source) {
    Entries entries = Entries.of(source);
    if (!(entries.value() instanceof Dictionary top)) {
      throw source.refusal("is not a file of ZeRO: it holds no dictionary");
    }
    Set<String> buffers = new LinkedHashSet<>();
    if (!(top.entries().get("buffer_names") instanceof Sequence names)
        || !top.entries().containsKey("param_shapes")) {
      throw source.refusal("is not a file of ZeRO: it has no buffer_names and param_shapes");
    }
    for (PickleValue name : names.items()) {
      if (!(name instanceof Text text)) {
        throw source.damaged("has a buffer whose name is not a text");
      }
      buffers.add(text.value());
    }
    List<Map<String, List<Long>>> shapes = new ArrayList<>();
    PickleValue stated = top.entries().get("param_shapes");
    for (PickleValue group : stated instanceof Sequence groups ? groups.items() : List.of(stated)) {
      shapes.add(shapes(source, group));
    }
    Map<String, String> shared = new LinkedHashMap<>();
    for (Map.Entry<String, PickleValue> pair : entries(source, top, "shared_params").entrySet()) {
      if (!(pair.getValue() instanceof Text other)) {
        throw source.damaged("has a shared parameter without a name");
      }
      shared.put(pair.getKey(), other.value());
    }
    PickleValue frozenShapes = top.entries().getOrDefault("frozen_param_shapes", Plain.NONE);
    return new ZeroModelState(
        tensors(entries, entries(source, top, "module")),
        buffers,
        shapes,
        shared,
        frozenShapes == Plain.NONE ? Map.of() : shapes(source, frozenShapes),
        tensors(entries, entries(source, top, "frozen_param_fragments")));
  }

  /** Returns a dictionary in the file; none if it is {@code None} or missing. */
  private static Map<String, PickleValue> entries(ByteSource source, Dictionary top, String key) {
    PickleValue value = top.entries().getOrDefault(key, Plain.NONE);
    if (value instanceof Dictionary dictionary) {
      return dictionary.entries();
    }
    if (value == Plain.NONE) {
      return Map.of();
    }
    throw source.damaged("its " + key + " is not a dictionary");
  }

  private static Map<String, TorchTensor> tensors(
      Entries entries, Map<String, PickleValue> values) {
    Map<String, TorchTensor> tensors = new LinkedHashMap<>();
    values.forEach(
        (name, value) -> {
          if (value instanceof Strided tensor) {
            tensors.put(name, entries.place(name, tensor, Optional.empty()));
          }
        });
    return tensors;
  }

  private static Map<String, List<Long>> shapes(ByteSource source, PickleValue group) {
    if (!(group instanceof Dictionary parameters)) {
      throw source.damaged("has a group of parameters that is not a dictionary");
    }
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    parameters
        .entries()
        .forEach(
            (name, value) -> {
              List<Long> shape = new ArrayList<>();
              if (!(value instanceof Sequence sizes) || sizes.items().size() > Dimensions.MOST) {
                throw source.damaged("has a parameter without dimensions");
              }
              for (PickleValue size : sizes.items()) {
                if (!(size instanceof Whole number) || number.value() < 0) {
                  throw source.damaged("has a parameter with a dimension that is not a size");
                }
                shape.add(number.value());
              }
              shapes.put(name, List.copyOf(shape));
            });
    return shapes;
  }
}
