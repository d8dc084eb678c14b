package org.threegate.checkpoint.torch;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.torch.PickleValue.Dictionary;
import org.threegate.checkpoint.torch.PickleValue.Part;
import org.threegate.checkpoint.torch.PickleValue.Storage;
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
  private static final int LARGEST_PICKLE = 64 << 20;
  private static final String PICKLE = "/data.pkl";

  /** Keys under which trainers store a state dictionary. */
  private static final List<String> KEYS =
      List.of("model", "state_dict", "module", "model_state_dict");

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
    ZipDirectory directory = directory(source);
    String root = root(source, directory);
    checkByteOrder(source, directory.find(root + "/byteorder"));
    ZipDirectory.Range pickle = directory.find(root + PICKLE).orElseThrow();
    if (pickle.bytes() > LARGEST_PICKLE) {
      throw source.refusal(
          "its pickle has "
              + pickle.bytes()
              + " bytes, more than a state dictionary needs; save only the tensors:"
              + " torch.save(model.state_dict(), FILE)");
    }
    byte[] code = source.read(pickle.begin(), (int) pickle.bytes());
    Map<String, String> others = new LinkedHashMap<>();
    Map<String, PickleValue> state = state(source, Pickle.read(source, code), others);
    List<TorchTensor> tensors = new ArrayList<>();
    state.forEach(
        (name, value) -> {
          if (value instanceof Strided whole) {
            tensors.add(place(source, directory, root, name, whole, Optional.empty()));
          } else if (value instanceof Part part) {
            Optional<List<Long>> whole =
                part.split() ? Optional.of(part.whole()) : Optional.empty();
            tensors.add(place(source, directory, root, name, part.local(), whole));
          } else {
            others.put(name, "holds no tensor");
          }
        });
    tensors.sort(Comparator.comparingLong(TorchTensor::offset));
    return new TorchArchive(tensors, others);
  }

  private static ZipDirectory directory(ByteSource source) {
    byte[] begin = source.read(0, (int) Math.min(source.bytes(), Integer.BYTES));
    if (begin.length == 0) {
      throw source.damaged("empty, not a file of torch");
    }
    if (begin.length < Integer.BYTES
        || begin[0] != (ZipDirectory.LOCAL & 0xFF)
        || begin[1] != (ZipDirectory.LOCAL >> 8 & 0xFF)) {
      throw source.refusal(
          "is not a zip archive, which torch writes since version 1.6; if an older version wrote"
              + " it, load it with weights_only=True and save it again");
    }
    return ZipDirectory.read(source);
  }

  /** Returns the name of the folder in which all entries lie. */
  private static String root(ByteSource source, ZipDirectory directory) {
    List<String> pickles =
        directory.entries().keySet().stream()
            .filter(name -> name.endsWith(PICKLE) && name.indexOf('/') == name.lastIndexOf('/'))
            .toList();
    if (pickles.size() != 1) {
      throw source.refusal(
          "is a zip archive, but not one of torch: it has " + pickles.size() + " data.pkl");
    }
    return pickles.get(0).substring(0, pickles.get(0).length() - PICKLE.length());
  }

  private static void checkByteOrder(ByteSource source, Optional<ZipDirectory.Range> order) {
    if (order.isPresent()) {
      byte[] text = source.read(order.get().begin(), (int) Math.min(8, order.get().bytes()));
      if (!new String(text, StandardCharsets.US_ASCII).equals("little")) {
        throw source.refusal(
            "its numbers are not little-endian; load and save it on a machine where they are");
      }
    }
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

  /** Returns a tensor with its place in the file. */
  private static TorchTensor place(
      ByteSource source,
      ZipDirectory directory,
      String root,
      String name,
      Strided tensor,
      Optional<List<Long>> whole) {
    String shown = "tensor \"" + PrintableText.name(name) + "\" ";
    Storage storage = tensor.storage();
    ZipDirectory.Range data =
        directory
            .find(root + "/data/" + storage.key())
            .orElseThrow(() -> source.damaged(shown + "has no data in the archive"));
    int elementBytes = storage.type().map(TorchType::bytes).orElse(1);
    if (data.bytes() % elementBytes != 0 || data.bytes() / elementBytes != storage.elements()) {
      throw source.damaged(
          shown + "has data of " + data.bytes() + " bytes, which its storage does not");
    }
    if (!tensor.isContiguous()) {
      throw source.refusal(
          shown
              + "is a view with the strides "
              + tensor.strides()
              + " of the shape "
              + tensor.shape()
              + "; save it after .contiguous()");
    }
    return new TorchTensor(
        name,
        tensor.type(),
        tensor.shape(),
        data.begin() + tensor.first() * tensor.type().bytes(),
        whole);
  }
}
