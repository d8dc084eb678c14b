package org.threegate.rl.curvature;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.TensorFiles;

/**
 * Writes the inputs and output gradients of linear layers to a file, for {@code threegate
 * curvature} and {@code LayerFisher} (docs/curvature.md).
 *
 * <pre>{@code
 * CaptureFile.write(
 *     decoder,
 *     List.of(new CapturedLayers.Text(new int[] {5, 6, 7}, 1)),
 *     name -> name.contains("o_proj"),
 *     false,
 *     1,
 *     Path.of("capture.safetensors"));
 * }</pre>
 */
public final class CaptureFile {
  private static final String WEIGHT = ".weight";

  private CaptureFile() {}

  /**
   * Writes a file. The other parameters are those of {@link CapturedLayers#of}.
   *
   * @param model the model
   * @param texts the texts
   * @param selected selects layers by the names of their weights
   * @param empirical whether labels are the next tokens of the texts instead of samples of the
   *     model
   * @param seed the seed of sampled labels
   * @param file path of the safetensors file; an existing file is replaced
   * @return the names of the weights whose layers are captured
   * @throws IOException when the file cannot be written
   */
  public static List<String> write(
      Decoder model,
      List<CapturedLayers.Text> texts,
      Predicate<String> selected,
      boolean empirical,
      long seed,
      Path file)
      throws IOException {
    try (CapturedLayers captured = CapturedLayers.of(model, texts, selected, empirical, seed)) {
      SafetensorsWriter writer =
          new SafetensorsWriter().metadata("fisher", empirical ? "empirical" : "true");
      byte[] numbers = bytes(captured.sequences());
      for (Map.Entry<String, CapturedLayers.Rows> entry : captured.layers().entrySet()) {
        String layer = entry.getKey().substring(0, entry.getKey().length() - WEIGHT.length());
        CapturedLayers.Rows rows = entry.getValue();
        TensorFiles.put(writer, layer + ".input", TensorType.F32, rows.input());
        TensorFiles.put(writer, layer + ".grad_output", TensorType.F32, rows.gradient());
        writer.tensor(layer + ".sequence", TensorType.I64, List.of(rows.input().size(0)), numbers);
      }
      writer.write(file);
      return List.copyOf(captured.layers().keySet());
    }
  }

  private static byte[] bytes(long[] numbers) {
    ByteBuffer bytes = ByteBuffer.allocate(8 * numbers.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asLongBuffer().put(numbers);
    return bytes.array();
  }
}
