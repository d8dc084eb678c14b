package org.threegate.checkpoint.torch;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.torch.PickleValue.Dictionary;
import org.threegate.checkpoint.torch.PickleValue.Part;
import org.threegate.checkpoint.torch.PickleValue.Strided;
import org.threegate.run.PrintableText;

/**
 * The tensors of a file that {@code torch.save} wrote since version 1.6: a zip archive with a
 * pickle that describes the tensors, and an entry for the elements of each. Nothing in the pickle
 * is executed.
 *
 * @param tensors tensors of the state dictionary, in the order of their data
 * @param others what else the file holds: the key, and what it is
 */
public record TorchArchive(List<TorchTensor> tensors, Map<String, String> others) {
  /** Keys under which trainers store a state dictionary. */
  static final List<String> KEYS = List.of("model", "state_dict", "module", "model_state_dict");

  private static final int SHOWN_KEYS = 8;

  /** Copies the collections. */
  public TorchArchive {
    tensors = List.copyOf(tensors);
    others = Collections.unmodifiableMap(new LinkedHashMap<>(others));
  }

  /**
   * Reads the descriptions of the tensors, and checks that they lie in the file.
   *
   * @param source the file
   * @return the tensors
   * @throws org.threegate.run.InvalidInputException if the file violates the format, or if its
   *     pickle names anything but constructors of tensors
   */
  public static TorchArchive read(ByteSource source) {
    Entries entries = Entries.of(source);
    Map<String, String> others = new LinkedHashMap<>();
    Map<String, PickleValue> state = state(source, entries.value(), others);
    List<TorchTensor> tensors = new ArrayList<>();
    state.forEach(
        (name, value) -> {
          if (value instanceof Strided whole) {
            tensors.add(entries.place(name, whole, Optional.empty()));
          } else if (value instanceof Part part) {
            tensors.add(entries.place(name, part.local(), Optional.of(part.share())));
          } else {
            others.put(name, "holds no tensor");
          }
        });
    tensors.sort(Comparator.comparingLong(TorchTensor::offset));
    return new TorchArchive(tensors, others);
  }

  /**
   * Reads the only tensor of a file, such as a chunk of a distributed checkpoint.
   *
   * @param source the file
   * @param name name of the tensor
   * @return the tensor
   * @throws org.threegate.run.InvalidInputException as {@link #read} does, and if the file holds
   *     anything else
   */
  public static TorchTensor one(ByteSource source, String name) {
    Entries entries = Entries.of(source);
    if (entries.value() instanceof Strided tensor) {
      return entries.place(name, tensor, Optional.empty());
    }
    throw source.damaged("holds no tensor where a chunk of one should be");
  }

  /** Returns the state dictionary: the top level, or what lies under the one usual key. */
  private static Map<String, PickleValue> state(
      ByteSource source, PickleValue top, Map<String, String> others) {
    if (!(top instanceof Dictionary all)) {
      throw source.refusal(
          "holds no dictionary of tensors; save one: torch.save(model.state_dict(), FILE)");
    }
    if (hasTensors(all)) {
      return all.entries();
    }
    List<String> found =
        KEYS.stream()
            .filter(key -> all.entries().get(key) instanceof Dictionary inner && hasTensors(inner))
            .toList();
    if (found.size() != 1) {
      throw source.refusal(
          found.isEmpty()
              ? "holds no tensors at its top level or under "
                  + String.join(", ", KEYS)
                  + "; it has the keys "
                  + all.entries().keySet().stream()
                      .limit(SHOWN_KEYS)
                      .map(PrintableText::name)
                      .toList()
              : "holds several state dictionaries, "
                  + String.join(" and ", found)
                  + "; save the one to compare by itself");
    }
    String key = found.get(0);
    all.entries().keySet().stream()
        .filter(other -> !other.equals(key))
        .forEach(other -> others.put(other, "beside the state dictionary \"" + key + "\""));
    return ((Dictionary) all.entries().get(key)).entries();
  }

  private static boolean hasTensors(Dictionary dictionary) {
    return dictionary.entries().values().stream()
        .anyMatch(value -> value instanceof Strided || value instanceof Part);
  }
}
