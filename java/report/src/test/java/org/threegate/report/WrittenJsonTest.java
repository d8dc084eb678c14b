package org.threegate.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Tests that documents of schema 1 do not change by a byte. This covers the order of keys, the
 * digits of numbers, and which values are null or absent.
 */
class WrittenJsonTest {
  private static final List<String> NAMES = List.of("first", "second");

  static Stream<Arguments> documents() {
    return Stream.of(
        Arguments.of("report.json", ComparisonJson.of(ReportDirectoryTest.report())),
        Arguments.of("consensus.json", ConsensusJson.file(HostileReports.consensus(NAMES))),
        Arguments.of("curvature.json", CurvatureJson.of(HostileReports.curvature(NAMES))),
        Arguments.of("calibration.json", CalibrationJson.of(HostileReports.calibration(NAMES))),
        Arguments.of("study.json", StudyJson.of(HostileReports.study(NAMES))));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("documents")
  void documentsKeepEveryByte(String name, Record document) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ReportMapper.write(document, out);
    try (InputStream written = getClass().getResourceAsStream("written/" + name)) {
      assertThat(out.toString(StandardCharsets.UTF_8))
          .isEqualTo(new String(written.readAllBytes(), StandardCharsets.UTF_8));
    }
  }
}
