package org.threegate.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
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

  /** Norms are absent where they were not measured. */
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
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

  private record RandomSigns(int draws, double mean, double sd, double z, double p) {}

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
        own.size().map(PatchGeometry.Size::frobenius),
        spectrum.map(PatchGeometry.Spectrum::norm),
        spectrum.map(PatchGeometry.Spectrum::normError),
        spectrum.map(PatchGeometry.Spectrum::stableRank),
        spectrum.map(PatchJson::randomSigns));
  }

  private static RandomSigns randomSigns(PatchGeometry.Spectrum found) {
    return new RandomSigns(
        found.randomSigns().draws(),
        found.randomSigns().mean(),
        found.randomSigns().sd(),
        found.randomSigns().z(found.norm()),
        found.randomSigns().pValue(found.norm()));
  }
}
