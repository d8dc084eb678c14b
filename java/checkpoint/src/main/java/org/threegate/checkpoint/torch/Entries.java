package org.threegate.checkpoint.torch;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.threegate.checkpoint.torch.PickleValue.Storage;
import org.threegate.checkpoint.torch.PickleValue.Strided;
import org.threegate.run.PrintableText;

/**
 * The entries of a file of torch: a pickle, and the elements that it refers to.
 *
 * @param root name of the folder in which all entries lie
 * @param value what the pickle describes
 */
record Entries(ByteSource source, ZipDirectory directory, String root, PickleValue value) {
  private static final int LARGEST_PICKLE = 64 << 20;
  private static final String PICKLE = "/data.pkl";

  static Entries of(ByteSource source) {
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
    PickleValue value = Pickle.read(source, code, Vocabulary.TENSORS);
    return new Entries(source, directory, root, value);
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

  private static String shown(String name) {
    return "tensor \"" + PrintableText.name(name) + "\" ";
  }

  /** Returns a tensor with its place in the file. */
  TorchTensor place(String name, Strided tensor, Optional<TensorShare> share) {
    Storage storage = tensor.storage();
    ZipDirectory.Range data =
        directory
            .find(root + "/data/" + storage.key())
            .orElseThrow(() -> source.damaged(shown(name) + "has no data in the archive"));
    int elementBytes = storage.type().map(TorchType::bytes).orElse(1);
    if (data.bytes() % elementBytes != 0 || data.bytes() / elementBytes != storage.elements()) {
      throw source.damaged(
          shown(name) + "has data of " + data.bytes() + " bytes, which its storage does not");
    }
    if (tensor.isExpanded()) {
      throw source.refusal(
          shown(name)
              + "has more entries than are stored: it is a view with the strides "
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
        tensor.isContiguous() ? List.of() : tensor.strides(),
        share);
  }
}
