package org.threegate.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.checkpoint.SafetensorsWriter;

/** Writes {@code arrays.safetensors}: long vectors in float64, with keys {@code TENSOR/VECTOR}. */
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
      report.geometryOf(tensor).ifPresent(geometry -> geometry(writer, prefix, geometry));
    }
    writer.write(path);
  }

  /** Adds the vectors of all ranks. Names of ranks after the first end with {@code @RANK}. */
  private static void geometry(SafetensorsWriter writer, String prefix, TensorGeometry geometry) {
    for (int i = 0; i < geometry.spectra().size(); i++) {
      SpectrumMeasure measure = geometry.spectra().get(i);
      Geometry update = measure.geometry();
      String suffix = i == 0 ? "" : "@" + update.rank();
      if (i == 0) {
        writer.vector(prefix + "sigmaBase", update.base());
        writer.vector(prefix + "sigmaTuned", update.tuned());
        writer.vector(prefix + "sigmaDelta", update.update());
      }
      writer.vector(prefix + "angleU" + suffix, update.angleU());
      writer.vector(prefix + "angleV" + suffix, update.angleV());
      for (NullDraws draws : measure.nulls()) {
        String name = prefix + draws.model().label() + "/";
        writer.vector(name + "angleUMean" + suffix, draws.bandLeft()[0]);
        writer.vector(name + "angleUSd" + suffix, draws.bandLeft()[1]);
        writer.vector(name + "angleVMean" + suffix, draws.bandRight()[0]);
        writer.vector(name + "angleVSd" + suffix, draws.bandRight()[1]);
        writer.vector(name + "nss" + suffix, draws.nss());
      }
    }
  }

  private static double[] ratios(long[] counts, long length) {
    return Arrays.stream(counts)
        .mapToDouble(count -> length == 0 ? 0 : count / (double) length)
        .toArray();
  }
}
