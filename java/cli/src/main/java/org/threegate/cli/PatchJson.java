package org.threegate.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.threegate.analysis.patch.PatchGeometry;
import org.threegate.file.AtomicFiles;
import org.threegate.patch.PatchOptions;

/** Writes what a patch does to each tensor as JSON. The records are the schema. */
final class PatchJson {
  private static final String SCHEMA = "threegate-patch-geometry-1";
  private static final ObjectMapper MAPPER =
      JsonMapper.builder().addModule(new Jdk8Module()).build();

  private PatchJson() {}

  @JsonNaming(SnakeCaseStrategy.class)
  private record Document(
      String schema,
      String format,
      long version,
      long baseVersion,
      long seed,
      List<TensorChange> tensors) {}

  /** Norms are null where they were not measured or are not defined. */
  @JsonNaming(SnakeCaseStrategy.class)
  private record TensorChange(
      String name,
      String dtype,
      long rows,
      long columns,
      long elements,
      long changed,
      long notFinite,
      double rowDispersionZ,
      double columnDispersionZ,
      Optional<Double> frobenius,
      Optional<Double> spectralNorm,
      Optional<Double> spectralNormError,
      Optional<Double> stableRank,
      Optional<RandomSigns> randomSigns) {}

  private record RandomSigns(
      int draws,
      Optional<Double> mean,
      Optional<Double> sd,
      Optional<Double> z,
      Optional<Double> p) {}

  private static Optional<Double> finite(double value) {
    return Double.isFinite(value) ? Optional.of(value) : Optional.empty();
  }

  /** Writes a new file. */
  static void write(Path file, PatchOptions options, List<PatchGeometry> all, long seed)
      throws IOException {
    Document document =
        new Document(
            SCHEMA,
            options.format().label(),
            options.versions().target(),
            options.versions().base(),
            seed,
            all.stream().map(PatchJson::tensor).toList());
    String json = MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(document);
    ByteBuffer text = ByteBuffer.wrap((json + "\n").getBytes(StandardCharsets.UTF_8));
    AtomicFiles.write(
        file,
        to -> {
          while (text.hasRemaining()) {
            to.write(text);
          }
        });
  }

  private static TensorChange tensor(PatchGeometry own) {
    Optional<PatchGeometry.Spectrum> spectrum = own.size().flatMap(PatchGeometry.Size::spectrum);
    return new TensorChange(
        own.tensor(),
        own.type().toString(),
        own.rows(),
        own.columns(),
        own.elements(),
        own.changed(),
        own.notFinite(),
        own.rowDispersion(),
        own.columnDispersion(),
        own.size().flatMap(size -> finite(size.frobenius())),
        spectrum.flatMap(found -> finite(found.norm())),
        spectrum.flatMap(found -> finite(found.normError())),
        spectrum.flatMap(found -> finite(found.stableRank())),
        spectrum.map(PatchJson::randomSigns));
  }

  private static RandomSigns randomSigns(PatchGeometry.Spectrum found) {
    return new RandomSigns(
        found.randomSigns().draws(),
        finite(found.randomSigns().mean()),
        finite(found.randomSigns().sd()),
        finite(found.randomSigns().z(found.norm())),
        finite(found.randomSigns().pValue(found.norm())));
  }
}
