package org.threegate.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.threegate.analysis.measure.TensorDiff;
import org.threegate.checkpoint.SafetensorsWriter;

/** {@code arrays.safetensors}: the long vectors, float64, keyed {@code TENSOR/VECTOR}. */
final class ArraysReport {
  private ArraysReport() {}

  static void write(ComparisonReport report, Path path) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter().metadata("threegate", report.version());
    for (TensorDiff tensor : report.tensors()) {
      String prefix = tensor.name() + "/";
      tensor
          .rowChanged()
          .ifPresent(
              rows -> writer.vector(prefix + "rowRatio", ratios(rows, tensor.shape().get(1))));
      tensor
          .columnChanged()
          .ifPresent(
              columns ->
                  writer.vector(prefix + "columnRatio", ratios(columns, tensor.shape().get(0))));
      writer.vector(
          prefix + "ulpHistogram", Arrays.stream(tensor.ulpHistogram()).asDoubleStream().toArray());
    }
    writer.write(path);
  }

  private static double[] ratios(long[] counts, long length) {
    return Arrays.stream(counts)
        .mapToDouble(count -> length == 0 ? 0 : count / (double) length)
        .toArray();
  }
}
