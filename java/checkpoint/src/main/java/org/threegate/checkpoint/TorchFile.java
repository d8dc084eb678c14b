package org.threegate.checkpoint;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.threegate.checkpoint.torch.ByteSource;
import org.threegate.checkpoint.torch.TorchArchive;
import org.threegate.checkpoint.torch.TorchTensor;
import org.threegate.kernel.Context;
import org.threegate.kernel.MappedFile;
import org.threegate.run.InvalidInputException;

/**
 * An open file that {@code torch.save} wrote, such as {@code pytorch_model.bin}. Its pickle is read
 * as a description of tensors, and nothing in it is executed.
 *
 * <pre>{@code
 * try (TorchFile file = TorchFile.open(context, Path.of("pytorch_model.bin"))) {
 *   file.tensors().forEach(tensor -> System.out.println(tensor.name() + " " + tensor.shape()));
 * }
 * }</pre>
 */
public final class TorchFile extends TensorFile {
  private static final Pattern NAME = Pattern.compile(".*\\.(bin|pt|pth|ckpt|pkl)");

  private final TorchArchive archive;

  private TorchFile(MappedFile file, TorchArchive archive) {
    super(file);
    this.archive = archive;
  }

  /**
   * Opens a file.
   *
   * @param context context that maps the file
   * @param path path of the file
   * @return the open file, which the caller closes
   * @throws InvalidInputException if the file cannot be read, violates the format, or names
   *     anything but constructors of tensors
   */
  public static TorchFile open(Context context, Path path) {
    return open(context, path, file -> new TorchFile(file, TorchArchive.read(source(file))));
  }

  /**
   * {@return whether a name is that of a file of torch}
   *
   * @param name name of a file
   */
  public static boolean isNamed(String name) {
    return NAME.matcher(name).matches();
  }

  static ByteSource source(MappedFile file) {
    return new ByteSource() {
      @Override
      public String name() {
        return file.path().toString();
      }

      @Override
      public long bytes() {
        return file.bytes();
      }

      @Override
      public byte[] read(long offset, int count) {
        return file.buffer().getBytes(offset, count);
      }
    };
  }

  @Override
  public Map<String, String> metadata() {
    return Map.of();
  }

  @Override
  public List<Tensor> tensors() {
    return archive.tensors().stream().map(this::stored).toList();
  }

  /** {@return what else the file holds: the key, and what it is} */
  public Map<String, String> others() {
    return archive.others();
  }

  /**
   * Returns the tensors with their strides, and with what is known about the whole of which they
   * are parts.
   */
  List<TorchTensor> descriptions() {
    return archive.tensors();
  }

  private Tensor stored(TorchTensor tensor) {
    return Boxes.piece(tensor, mapped()).tensor();
  }
}
