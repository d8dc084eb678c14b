package org.threegate.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noConstructors;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.util.List;

/** Verifies that packages depend only on packages of lower layers. */
@AnalyzeClasses(packages = "org.threegate", importOptions = ImportOption.DoNotIncludeTests.class)
class LayeringTest {
  @ArchTest
  static final ArchRule LAYERS =
      layeredArchitecture()
          .consideringOnlyDependenciesInAnyPackage("org.threegate..")
          .optionalLayer("testing")
          .definedBy("org.threegate.testing..")
          .layer("cli")
          .definedBy("org.threegate.cli..")
          .layer("report")
          .definedBy("org.threegate.report..")
          .layer("patch")
          .definedBy("org.threegate.patch..")
          .layer("patchGeometry")
          .definedBy("org.threegate.analysis.patch..")
          .layer("pairing")
          .definedBy("org.threegate.analysis.pairing..", "org.threegate.analysis.journal..")
          .layer("measure")
          .definedBy(
              "org.threegate.analysis.compare..",
              "org.threegate.analysis.consensus..",
              "org.threegate.analysis.diff..",
              "org.threegate.analysis.engine..",
              "org.threegate.analysis.geometry..",
              "org.threegate.analysis.mask..",
              "org.threegate.analysis.nullmodel..")
          .layer("calibration")
          .definedBy("org.threegate.analysis.calibration..")
          .layer("intervention")
          .definedBy("org.threegate.analysis.intervention..")
          .layer("curvature")
          .definedBy("org.threegate.analysis.curvature..")
          .layer("policy")
          .definedBy("org.threegate.rl.policy..")
          .layer("task")
          .definedBy("org.threegate.rl.task..")
          .layer("template")
          .definedBy("org.threegate.rl.template..")
          .layer("verifier")
          .definedBy("org.threegate.rl.verifier..")
          .layer("environment")
          .definedBy("org.threegate.rl.environment..")
          .layer("train")
          .definedBy("org.threegate.rl.train..")
          .layer("observe")
          .definedBy("org.threegate.rl.observe..")
          .layer("objectiveCurvature")
          .definedBy("org.threegate.rl.curvature..")
          .layer("adapter")
          .definedBy("org.threegate.rl.adapter..")
          .layer("trainingRun")
          .definedBy("org.threegate.rl.run..")
          .layer("study")
          .definedBy("org.threegate.rl.study..")
          .layer("claims")
          .definedBy("org.threegate.analysis.study..")
          .layer("event")
          .definedBy("org.threegate.rl.event..")
          .layer("rollout")
          .definedBy("org.threegate.rl.rollout..")
          .layer("objective")
          .definedBy("org.threegate.rl.objective..")
          .layer("optimizer")
          .definedBy("org.threegate.rl.optimizer..")
          .layer("statistics")
          .definedBy("org.threegate.analysis.statistics..")
          .layer("checkpoint")
          .definedBy("org.threegate.checkpoint..")
          .layer("binding")
          .definedBy("org.threegate.binding..")
          .layer("cuda")
          .definedBy("org.threegate.cuda..")
          .layer("run")
          .definedBy("org.threegate.run..")
          .layer("kernel")
          .definedBy("org.threegate.kernel..")
          .layer("buffer")
          .definedBy("org.threegate.buffer..")
          .layer("loading")
          .definedBy("org.threegate.loading..")
          .layer("dtype")
          .definedBy("org.threegate.dtype..")
          .layer("spi")
          .definedBy("org.threegate.spi..")
          .whereLayer("cli")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("binding")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("cuda")
          .mayOnlyBeAccessedByLayers("policy")
          .whereLayer("report")
          .mayOnlyBeAccessedByLayers("cli")
          .whereLayer("study")
          .mayOnlyBeAccessedByLayers("cli")
          .whereLayer("trainingRun")
          .mayOnlyBeAccessedByLayers("cli", "study")
          .whereLayer("calibration")
          .mayOnlyBeAccessedByLayers("cli", "report")
          .whereLayer("patch")
          .mayOnlyBeAccessedByLayers("cli", "observe", "patchGeometry", "trainingRun")
          .whereLayer("patchGeometry")
          .mayOnlyBeAccessedByLayers("cli")
          .whereLayer("claims")
          .mayOnlyBeAccessedByLayers("cli", "report", "study")
          .whereLayer("pairing")
          .mayOnlyBeAccessedByLayers("cli", "calibration", "measure", "curvature", "study")
          .whereLayer("measure")
          .mayOnlyBeAccessedByLayers(
              "cli", "calibration", "report", "observe", "study", "trainingRun")
          .whereLayer("intervention")
          .mayOnlyBeAccessedByLayers("cli", "study")
          .whereLayer("curvature")
          .mayOnlyBeAccessedByLayers(
              "cli", "report", "patchGeometry", "objectiveCurvature", "observe", "study")
          .whereLayer("train")
          .mayOnlyBeAccessedByLayers("cli", "study", "trainingRun")
          .whereLayer("observe")
          .mayOnlyBeAccessedByLayers("cli", "study", "trainingRun")
          .whereLayer("objectiveCurvature")
          .mayOnlyBeAccessedByLayers("cli", "observe", "study", "trainingRun")
          .whereLayer("adapter")
          .mayOnlyBeAccessedByLayers("cli", "study", "trainingRun")
          .whereLayer("event")
          .mayOnlyBeAccessedByLayers("cli", "train", "observe", "study", "trainingRun")
          .whereLayer("rollout")
          .mayOnlyBeAccessedByLayers("cli", "train", "study", "trainingRun")
          .whereLayer("objective")
          .mayOnlyBeAccessedByLayers("cli", "train", "study", "trainingRun")
          .whereLayer("optimizer")
          .mayOnlyBeAccessedByLayers("cli", "train", "study", "trainingRun")
          .whereLayer("policy")
          .mayOnlyBeAccessedByLayers(
              "cli",
              "train",
              "rollout",
              "optimizer",
              "adapter",
              "event",
              "observe",
              "objectiveCurvature",
              "study",
              "trainingRun")
          .whereLayer("task")
          .mayOnlyBeAccessedByLayers(
              "cli", "environment", "train", "rollout", "study", "trainingRun", "verifier")
          .whereLayer("template")
          .mayOnlyBeAccessedByLayers("task")
          .whereLayer("environment")
          .mayOnlyBeAccessedByLayers("cli", "rollout", "trainingRun")
          .whereLayer("verifier")
          .mayOnlyBeAccessedByLayers(
              "cli", "environment", "train", "rollout", "study", "trainingRun")
          .whereLayer("statistics")
          .mayOnlyBeAccessedByLayers(
              "calibration",
              "cli",
              "report",
              "patchGeometry",
              "pairing",
              "measure",
              "curvature",
              "observe",
              "claims",
              "study")
          .whereLayer("checkpoint")
          .mayOnlyBeAccessedByLayers(
              "calibration",
              "cli",
              "patch",
              "patchGeometry",
              "report",
              "pairing",
              "measure",
              "intervention",
              "curvature",
              "environment",
              "policy",
              "task",
              "train",
              "adapter",
              "observe",
              "objectiveCurvature",
              "study",
              "trainingRun",
              "verifier")
          .whereLayer("kernel")
          .mayOnlyBeAccessedByLayers(
              "calibration",
              "cli",
              "binding",
              "cuda",
              "patch",
              "patchGeometry",
              "pairing",
              "measure",
              "intervention",
              "curvature",
              "checkpoint",
              "policy",
              "train",
              "adapter",
              "observe",
              "study",
              "trainingRun",
              "run",
              "testing");

  @ArchTest
  static final ArchRule STATISTICS_SEE_NUMBERS_NOT_KERNELS =
      noClasses()
          .that()
          .resideInAPackage("org.threegate.analysis.statistics..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "org.threegate.kernel..",
              "org.threegate.buffer..",
              "org.threegate.spi..",
              "org.threegate.checkpoint..");

  @ArchTest
  static final ArchRule CORE_KNOWS_NOTHING_ABOVE =
      noClasses()
          .that()
          .resideInAnyPackage(
              "org.threegate.kernel..",
              "org.threegate.buffer..",
              "org.threegate.loading..",
              "org.threegate.dtype..",
              "org.threegate.spi..",
              "org.threegate.run..",
              "org.threegate.file..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "org.threegate.checkpoint..",
              "org.threegate.analysis..",
              "org.threegate.rl..",
              "org.threegate.report..",
              "org.threegate.spark..",
              "org.threegate.cli..",
              "org.threegate.cuda..",
              "org.threegate.binding..");

  /** Everything else works without the presets of CUDA. */
  @ArchTest
  static final ArchRule ONE_PACKAGE_KNOWS_THE_PRESETS_OF_CUDA =
      noClasses()
          .that()
          .resideOutsideOfPackage("org.threegate.cuda..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("org.bytedeco.cuda..");

  @ArchTest
  static final ArchRule THE_LOOP_KNOWS_NO_ANALYSIS =
      noClasses()
          .that()
          .resideInAPackage("org.threegate.rl..")
          .and()
          .resideOutsideOfPackages(
              "org.threegate.rl.observe..",
              "org.threegate.rl.curvature..",
              "org.threegate.rl.run..",
              "org.threegate.rl.study..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.threegate.analysis..", "org.threegate.report..");

  /** Templates come with untrusted models, so the interpreter must not use files or reflection. */
  @ArchTest
  static final ArchRule TEMPLATES_REACH_NOTHING =
      classes()
          .that()
          .resideInAPackage("org.threegate.rl.template..")
          .should()
          .onlyDependOnClassesThat()
          .resideInAnyPackage(
              "org.threegate.rl.template..",
              "java.lang",
              "java.lang.invoke",
              "java.lang.runtime",
              "java.math",
              "java.nio.charset",
              "java.time..",
              "java.util..");

  @ArchTest
  static final ArchRule NO_CYCLES =
      slices().matching("org.threegate.(**)").should().beFreeOfCycles();

  /** Assigns a class to the slice of its outermost class. */
  private static final class ByOutermostClass implements SliceAssignment {
    @Override
    public SliceIdentifier getIdentifierOf(JavaClass type) {
      JavaClass outermost = type;
      while (outermost.getEnclosingClass().isPresent()) {
        outermost = outermost.getEnclosingClass().get();
      }
      return SliceIdentifier.of(outermost.getName());
    }

    @Override
    public String getDescription() {
      return "classes";
    }
  }

  @ArchTest
  static final ArchRule NO_RINGS_OF_CLASSES =
      slices().assignedFrom(new ByOutermostClass()).should().beFreeOfCycles();

  private static final DescribedPredicate<List<JavaClass>> AN_OPTIONAL =
      DescribedPredicate.describe(
          "an Optional",
          types ->
              types.stream()
                  .anyMatch(
                      type ->
                          type.getPackageName().equals("java.util")
                              && type.getSimpleName().startsWith("Optional")));

  private static final DescribedPredicate<List<JavaClass>> MORE_THAN_FOUR =
      DescribedPredicate.describe("more than four types", types -> types.size() > 4);

  /** Callers choose another method or leave a call out. Components of records may be optional. */
  @ArchTest
  static final ArchRule PARAMETERS_ARE_NOT_OPTIONAL =
      noMethods()
          .that()
          .arePublic()
          .and()
          .areDeclaredInClassesThat()
          .arePublic()
          .should()
          .haveRawParameterTypes(AN_OPTIONAL);

  @ArchTest
  static final ArchRule CONSTRUCTORS_TAKE_NO_OPTIONAL =
      noConstructors()
          .that()
          .arePublic()
          .and()
          .areDeclaredInClassesThat()
          .arePublic()
          .and()
          .areDeclaredInClassesThat()
          .areNotAssignableTo(Record.class)
          .should()
          .haveRawParameterTypes(AN_OPTIONAL);

  /** Longer lists are records. */
  @ArchTest
  static final ArchRule CALLS_OF_KERNELS_ARE_SHORT =
      noMethods()
          .that()
          .arePublic()
          .and()
          .areDeclaredInClassesThat()
          .arePublic()
          .and()
          .areDeclaredInClassesThat()
          .resideInAnyPackage("org.threegate.kernel", "org.threegate.buffer", "org.threegate.run")
          .should()
          .haveRawParameterTypes(MORE_THAN_FOUR);

  @ArchTest
  static final ArchRule LIBRARIES_DO_NOT_PRINT =
      noClasses()
          .that()
          .resideOutsideOfPackages(
              "org.threegate.cli..", "org.threegate.testing..", "org.threegate.buffer..")
          .should()
          .accessField(System.class, "out")
          .orShould()
          .accessField(System.class, "err");
}
