package org.threegate.cuda;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.testing.JavadocExamples;

/** Verifies the dependencies of this module, and that its examples compile. */
class StructureTest {
  private static final String FIELDS =
      """
        static org.threegate.kernel.Context context;
        static org.bytedeco.pytorch.Tensor tensor;
      """;

  @TempDir Path directory;

  @Test
  void itNeedsTheThinApiAndJavaCpp() {
    classes()
        .that()
        .resideInAPackage("org.threegate.cuda..")
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage(
            "org.threegate.cuda..",
            "org.threegate.kernel..",
            "org.threegate.buffer..",
            "org.threegate.dtype..",
            "org.threegate.loading..",
            "org.threegate.spi..",
            "org.bytedeco..",
            "java..")
        .check(
            new ClassFileImporter()
                .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                .importPackages("org.threegate.cuda"));
  }

  @Test
  void examplesCompile() throws IOException {
    int count =
        JavadocExamples.compile(
            JavadocExamples.sources(path -> path.contains("/java/cuda/")),
            List.of(
                "org.bytedeco.cuda.cudart",
                "org.bytedeco.cuda.global",
                "org.bytedeco.javacpp",
                "org.threegate.dtype",
                "org.threegate.kernel"),
            FIELDS,
            directory);
    assertThat(count).isEqualTo(3);
  }
}
