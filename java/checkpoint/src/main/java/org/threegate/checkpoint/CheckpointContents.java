package org.threegate.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.torch.TorchTensor;
import org.threegate.kernel.Context;
import org.threegate.kernel.MappedFile;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/** The open files of a checkpoint and what they hold, while they are read. */
final class CheckpointContents {
  private final Context context;
  private final List<TensorFile> files = new ArrayList<>();
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();
  private final Map<String, String> others = new LinkedHashMap<>();
  private final Map<String, TensorParts> parts = new LinkedHashMap<>();

  CheckpointContents(Context context) {
    this.context = context;
  }

  Context context() {
    return context;
  }

  List<TensorFile> files() {
    return files;
  }

  Map<String, Tensor> tensors() {
    return tensors;
  }

  Map<String, String> others() {
    return others;
  }

  Map<String, TensorParts> parts() {
    return parts;
  }

  <T extends TensorFile> T opened(T file) {
    files.add(file);
    return file;
  }

  TorchFile openTorch(Path path) {
    TorchFile file = opened(TorchFile.open(context, path));
    others.putAll(file.others());
    return file;
  }

  /** Adds a tensor of a file of torch that lies in one place. */
  void add(MappedFile file, TorchTensor tensor) {
    List<TensorPiece> only = List.of(Boxes.piece(tensor, file));
    add(new TensorParts(tensor.name(), tensor.shape(), tensor.shape(), only));
  }

  /** Adds a tensor whose pieces cover it. One that lies in one place is read where it lies. */
  void add(TensorParts whole) {
    String name = whole.name();
    if (tensors.containsKey(name) || parts.containsKey(name)) {
      throw new InvalidInputException(
          whole.pieces().get(0).tensor().file().path()
              + ": tensor \""
              + PrintableText.name(name)
              + "\" is stored twice");
    }
    TensorPiece first = whole.pieces().get(0);
    if (whole.pieces().size() == 1 && first.strides().equals(Boxes.strides(first.size()))) {
      Tensor tensor = first.tensor();
      tensors.put(
          name, new Tensor(name, tensor.type(), whole.shape(), tensor.file(), tensor.offset()));
      return;
    }
    for (Tensor tensor : whole.parts()) {
      if (tensors.putIfAbsent(tensor.name(), tensor) != null) {
        throw new InvalidInputException(
            tensor.file().path()
                + ": tensor \""
                + PrintableText.name(tensor.name())
                + "\" is stored twice");
      }
    }
    parts.put(name, whole);
  }
}
