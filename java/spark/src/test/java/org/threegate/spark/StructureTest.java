package org.threegate.spark;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
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
        static org.apache.spark.sql.SparkSession spark;
      """;

  @TempDir Path classes;

  private static final JavaClasses OWN =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("org.threegate.spark");

  /** Assigns a class to the slice of its outermost class. */
  private static final class ByOutermostClass implements SliceAssignment {
    @Override
    public SliceIdentifier getIdentifierOf(JavaClass type) {
      return type.getEnclosingClass()
          .map(this::getIdentifierOf)
          .orElse(SliceIdentifier.of(type.getName()));
    }

    @Override
    public String getDescription() {
      return "classes";
    }
  }

  @Test
  void noClassesDependOnEachOtherInARing() {
    slices().assignedFrom(new ByOutermostClass()).should().beFreeOfCycles().check(OWN);
  }

  @Test
  void itMeasuresByWhatOneMachineMeasuresBy() {
    classes()
        .that()
        .resideInAPackage("org.threegate.spark..")
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage(
            "org.threegate.spark..",
            "org.threegate.report..",
            "org.threegate.analysis.compare..",
            "org.threegate.analysis.consensus..",
            "org.threegate.analysis.diff..",
            "org.threegate.analysis.engine..",
            "org.threegate.analysis.geometry..",
            "org.threegate.analysis.journal..",
            "org.threegate.analysis.mask..",
            "org.threegate.analysis.nullmodel..",
            "org.threegate.analysis.pairing..",
            "org.threegate.checkpoint..",
            "org.threegate.file..",
            "org.threegate.run..",
            "org.threegate.kernel..",
            "org.threegate.buffer..",
            "org.threegate.dtype..",
            "org.threegate.loading..",
            "org.threegate.spi..",
            "org.apache.spark..",
            "org.apache.hadoop..",
            "com.fasterxml.jackson..",
            "scala..",
            "java..")
        .check(OWN);
  }

  @Test
  void examplesCompile() throws IOException {
    int count =
        JavadocExamples.compile(
            JavadocExamples.sources(path -> path.contains("/spark/")),
            List.of("org.apache.spark.sql"),
            FIELDS,
            classes);
    assertThat(count).isEqualTo(2);
  }
}
