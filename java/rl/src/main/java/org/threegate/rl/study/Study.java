package org.threegate.rl.study;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.threegate.analysis.compare.Claims;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.consensus.Consensus;
import org.threegate.analysis.curvature.Along;
import org.threegate.analysis.curvature.Capture;
import org.threegate.analysis.curvature.CurvatureInputs;
import org.threegate.analysis.curvature.CurvatureOptions;
import org.threegate.analysis.curvature.CurvatureStudy;
import org.threegate.analysis.curvature.LayerCurvature;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.MaskMeasure;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.intervention.Intervention;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Totals;
import org.threegate.analysis.study.MatrixMeasures;
import org.threegate.analysis.study.StudyResult;
import org.threegate.analysis.study.StudyRun;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.DigestKind;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.rl.curvature.CaptureFile;
import org.threegate.rl.policy.Decoder;
import org.threegate.run.Progress;

/**
 * Tests the claims of arXiv 2511.08567. The study trains a small model in the ways that the claims
 * distinguish, and measures the updates.
 *
 * <pre>{@code
 * StudyResult result =
 *     Study.run(context, control, Path.of("study"), StudyOptions.of(true, 0), false, Progress.NONE);
 * StudyClaims.judge(result).forEach(claim -> System.out.println(claim.seen()));
 * }</pre>
 */
public final class Study {
  private static final List<Integer> ROTATED_LAYERS = List.of(1, 2);
  private static final long MEASURING = 25; // the steps that take as long as measuring a run
  private static final Predicate<String> ALL = name -> true;
  private static final GeometryOptions WITHOUT_NULLS =
      new GeometryOptions(
          List.of(),
          GeometryOptions.DEFAULT.rankFractions(),
          GeometryOptions.DEFAULT.alphas().subList(0, 1),
          List.of(),
          GeometryOptions.DEFAULT.draws(),
          GeometryOptions.DEFAULT.tolerance(),
          GeometryOptions.DEFAULT.seed());

  private final Context context;
  private final Control control;
  private final Path directory;
  private final StudyOptions options;
  private final Progress progress;

  private Study(
      Context context, Control control, Path directory, StudyOptions options, Progress progress) {
    this.context = context;
    this.control = control;
    this.directory = directory;
    this.options = options;
    this.progress = progress;
  }

  /**
   * Runs the study.
   *
   * @param context the context of the kernels
   * @param control cancels the study
   * @param directory the directory of the models: {@code base}, {@code rotated} and {@code runs/ID}
   * @param options the size of the study
   * @param resume whether to skip the runs that an interrupted study has finished
   * @param progress receives the progress
   * @return the measurements
   * @throws IOException when a file cannot be read or written
   */
  public static StudyResult run(
      Context context,
      Control control,
      Path directory,
      StudyOptions options,
      boolean resume,
      Progress progress)
      throws IOException {
    Files.createDirectories(directory);
    Study study = new Study(context, control, directory, options, progress);
    Path kept = directory.resolve("journal");
    try (Journal<StudyRun> journal =
        Journal.open(kept, StudyRun.class, "study " + options, resume)) {
      return journal.during(() -> study.run(journal));
    }
  }

  private Path base() {
    return directory(Base.OWN);
  }

  private Path rotated() {
    return directory.resolve("rotated");
  }

  private Path runs(String id) {
    return directory.resolve("runs").resolve(id);
  }

  private StudyResult run(Journal<StudyRun> journal) throws IOException {
    for (Base base : Base.values()) {
      base.extract(directory(base));
    }
    List<String> rotatedMatrices = rotate();
    Map<String, StudyRun> done = new LinkedHashMap<>();
    List<Arm> arms = Arm.all(options.steps(), options.seed(), options.quick());
    long total = arms.stream().mapToLong(arm -> arm.steps() + MEASURING).sum() + MEASURING;
    Map<Variation, Behaviour> behaviours = new EnumMap<>(Variation.class);
    try {
      for (Variation variation : Variation.values()) {
        if (variation.measuredAs() == variation) {
          Path base = directory(variation.base());
          behaviours.put(variation, Behaviour.of(context, base, variation.task(), options));
        }
      }
      Behaviour behaviour = behaviours.get(Variation.NONE);
      // Runs that were measured on other problems cannot be compared.
      journal.finished().stream()
          .filter(behaviour::hasAsked)
          .forEach(run -> done.put(run.id(), run));
      done.keySet().retainAll(arms.stream().map(Arm::id).toList());
      long before = 0;
      for (Arm arm : arms) {
        if (!done.containsKey(arm.id())) {
          StudyRun run =
              run(arm, behaviours.get(arm.variation().measuredAs()), done, before, total);
          journal.add(run);
          done.put(arm.id(), run);
        }
        before += arm.steps() + MEASURING;
      }
      progress.at("agreement and curvature", before, total);
      List<StudyRun> runs = arms.stream().map(arm -> done.get(arm.id())).toList();
      StudyResult result = together(behaviours, runs, rotatedMatrices);
      progress.at("", total, total);
      return result;
    } finally {
      behaviours.values().forEach(Behaviour::close);
    }
  }

  /** Returns the names of the matrices that the rotation changes. */
  private List<String> rotate() throws IOException {
    List<String> names = new ArrayList<>();
    try (Checkpoint model = Checkpoint.open(context, base())) {
      if (!Files.exists(rotated())) {
        Intervention intervention = new Intervention(model, options.seed());
        ROTATED_LAYERS.forEach(intervention::rotateValues);
        intervention.write(rotated());
      }
      try (Checkpoint other = Checkpoint.open(context, rotated())) {
        // The rotation only changes the value and output projections of these layers.
        for (int layer : ROTATED_LAYERS) {
          other.tensors().keySet().stream()
              .filter(name -> name.contains("layers." + layer + "."))
              .filter(name -> name.endsWith("v_proj.weight") || name.endsWith("o_proj.weight"))
              .forEach(names::add);
        }
      }
    }
    return names;
  }

  private StudyRun run(
      Arm arm, Behaviour behaviour, Map<String, StudyRun> done, long before, long total)
      throws IOException {
    Path start = start(arm);
    Optional<Double> longest =
        arm.setting()
            .untilNorm()
            .map(
                id -> {
                  List<StudyRun.Step> series = done.get(Arm.id(id, arm.number())).series();
                  return series.get(series.size() - 1).relativeFrobenius();
                });
    ArmRun.Trained trained =
        new ArmRun(
                context,
                control,
                arm,
                behaviour,
                step -> progress.at(arm.title(), before + step, total))
            .run(start, runs(arm.id()), longest);
    progress.at(arm.title() + ": geometry", before + arm.steps(), total);
    Comparison.Outcome outcome = compare(start, runs(arm.id()), arm.isJudgedAlone());
    Totals totals =
        outcome.tensors().stream()
            .filter(tensor -> tensor.shape().size() == 2)
            .map(TensorDiff::totals)
            .reduce(Totals.ZERO, Totals::plus);
    ArmRun.Moved moved = trained.moved();
    double norm = moved.relativeFrobenius() * Math.sqrt(totals.sums().baseSquares());
    double moving = moved.trainable() * totals.counts().total();
    return new StudyRun(
        new StudyRun.Recipe(
            arm.variation().id(),
            arm.way().id(),
            arm.number(),
            arm.way().title(),
            arm.way().how(),
            arm.way().rate()),
        trained.steps(),
        trained.behaviour(),
        new StudyRun.Update(
            totals,
            moved.trainable(),
            moved.hidden(),
            norm,
            arm.setting().adapter().isPresent() || !arm.variation().isAdam()
                ? Double.NaN
                : norm / (arm.way().rate() * trained.steps() * Math.sqrt(moving)),
            moved.sparsityPermuted(),
            moved.principalOfLargest(),
            moved.lowOfLargest()),
        trained.series(),
        trained.patches(),
        matrices(outcome),
        arm.isJudgedAlone() ? Claims.judge(outcome.tensors(), outcome.geometry()) : List.of());
  }

  private Path start(Arm arm) {
    return arm.setting().rotated() ? rotated() : directory(arm.variation().base());
  }

  private Path directory(Base base) {
    return directory.resolve(base.directory());
  }

  private Comparison.Outcome compare(Path from, Path run, boolean nulls) throws IOException {
    Path kept = directory.resolve("comparison");
    try (Checkpoint before = Checkpoint.open(context, from);
        Journal<Comparison.Finished> journal =
            Journal.open(kept, Comparison.Finished.class, run.toString(), false)) {
      return journal.during(() -> compare(before, run, nulls, journal));
    }
  }

  private Comparison.Outcome compare(
      Checkpoint before, Path run, boolean nulls, Journal<Comparison.Finished> journal)
      throws IOException {
    // The update of an adapter is its low-rank product, not the difference of rounded matrices.
    if (Files.exists(ArmRun.adapter(run))) {
      try (Adapter after = Adapter.open(context, ArmRun.adapter(run))) {
        return comparison(before, after.weights(), nulls)
            .run(Pairing.of(before, after, ALL), journal, Progress.NONE);
      }
    }
    try (Checkpoint after = Checkpoint.open(context, run)) {
      return comparison(before, after, nulls)
          .run(Pairing.of(before, after, ALL), journal, Progress.NONE);
    }
  }

  private Comparison comparison(Checkpoint before, Checkpoint after, boolean nulls) {
    return new Comparison(
        context,
        control,
        before,
        after,
        new Comparison.Wanted(
            DigestKind.NONE, Optional.of(nulls ? GeometryOptions.DEFAULT : WITHOUT_NULLS)));
  }

  private static List<MatrixMeasures> matrices(Comparison.Outcome outcome) {
    List<MatrixMeasures> measures = new ArrayList<>();
    for (TensorDiff tensor : outcome.tensors()) {
      TensorGeometry geometry = outcome.geometry().get(tensor.name());
      if (geometry != null && geometry.spectrumOmitted().isEmpty() && !geometry.masks().isEmpty()) {
        measures.add(matrix(tensor, geometry.spectra().get(0), geometry.masks().get(0)));
      }
    }
    return List.copyOf(measures);
  }

  private static MatrixMeasures matrix(
      TensorDiff tensor, SpectrumMeasure spectrum, MaskMeasure masks) {
    Optional<NullDraws> turned = spectrum.draws(NullModel.SPECTRUM_PRESERVING);
    double[] angles = spectrum.geometry().angleU();
    return new MatrixMeasures(
        tensor.name(),
        tensor.kind(),
        tensor.layer(),
        tensor.totals().sparsity(),
        new MatrixMeasures.Measure(
            spectrum.geometry().nss(),
            turned.map(draws -> draws.estimate(draws.nss()).mean()).orElse(Double.NaN)),
        new MatrixMeasures.Measure(
            angles[angles.length - 1],
            turned.map(draws -> draws.estimate(draws.angleU()).mean()).orElse(Double.NaN)),
        spectrum.geometry().isGapLimited(),
        new MatrixMeasures.Measure(
            masks.principal().overlap(), masks.principal().magnitudeBaseline()),
        new MatrixMeasures.Measure(masks.low().overlap(), masks.low().magnitudeBaseline()),
        new MatrixMeasures.Measure(
            spectrum.geometry().principalEnergy(), spectrum.isotropicEnergy().mean()));
  }

  private StudyResult together(
      Map<Variation, Behaviour> behaviours, List<StudyRun> runs, List<String> rotatedMatrices)
      throws IOException {
    List<StudyResult.Variation> variations = new ArrayList<>();
    for (Variation variation : Variation.values()) {
      if (variation != Variation.NONE) {
        variations.add(varied(variation, behaviours.get(variation.measuredAs()), runs));
      }
    }
    Behaviour behaviour = behaviours.get(Variation.NONE);
    try (Checkpoint before = Checkpoint.open(context, base());
        Checkpoint one = run(Variation.NONE, 1);
        Checkpoint two = run(Variation.NONE, 2);
        Decoder model = Decoder.load(context, base())) {
      List<Finding> consensus =
          Consensus.judge(
              Consensus.of(context, before, List.of(one, two), ALL, Progress.NONE, control));
      CurvatureStudy curvature = curvature(behaviour, model, before, one);
      return new StudyResult(
          options.quick(),
          behaviour.accuracy(model),
          before.parameters(),
          runs,
          pairs(runs, Arm.ROTATED, number -> across(Variation.NONE, number)),
          pairs(
              runs,
              Arm.ROTATED,
              number -> across(rotated(), runs(Arm.id(Arm.ROTATED, number)), number)),
          List.copyOf(rotatedMatrices),
          variations,
          consensus,
          curvature.findings(),
          along(curvature));
    }
  }

  /** An agreement of two runs by matrix, for the number of the second seed. */
  private interface PairOfRuns {
    Map<String, Agreement> of(int number) throws IOException;
  }

  /** Returns an agreement for each pair of seeds. No seed is in two pairs. */
  private static List<Map<String, Agreement>> pairs(
      List<StudyRun> runs, String arm, PairOfRuns pair) throws IOException {
    List<Map<String, Agreement>> pairs = new ArrayList<>();
    for (StudyRun run : runs) {
      if (run.recipe().arm().equals(arm)) {
        pairs.add(pair.of(run.recipe().seed()));
      }
    }
    return List.copyOf(pairs);
  }

  private Map<String, Agreement> across(Variation variation, int number) throws IOException {
    return across(base(), directory(variation, number), number);
  }

  /** Compares a run with the run of RLVR whose seed is before its own. */
  private Map<String, Agreement> across(Path otherBase, Path other, int number) throws IOException {
    try (Checkpoint before = Checkpoint.open(context, base());
        Checkpoint one = run(Variation.NONE, number - 1);
        Checkpoint otherBefore = Checkpoint.open(context, otherBase);
        Checkpoint two = Checkpoint.open(context, other)) {
      return Consensus.across(context, before, one, otherBefore, two, ALL, control);
    }
  }

  /** Measures the runs of a variation beside those without it. */
  private StudyResult.Variation varied(Variation variation, Behaviour behaviour, List<StudyRun> all)
      throws IOException {
    List<StudyRun> runs =
        all.stream().filter(run -> run.recipe().variation().equals(variation.id())).toList();
    List<Map<String, Agreement>> agreements = new ArrayList<>();
    List<Finding> findings = new ArrayList<>();
    try (Checkpoint base = Checkpoint.open(context, directory(variation.base()));
        Decoder model = Decoder.load(context, directory(variation.base()))) {
      if (variation.base() == Base.OWN) {
        agreements.addAll(pairs(runs, Arm.REINFORCED, number -> across(variation, number)));
        try (Checkpoint one = run(Variation.NONE, 1);
            Checkpoint two = run(variation, 2)) {
          findings.addAll(
              Consensus.judge(
                  Consensus.of(context, base, List.of(one, two), ALL, Progress.NONE, control)));
        }
      }
      return new StudyResult.Variation(
          variation.id(),
          variation.title(),
          behaviour.accuracy(model),
          base.parameters(),
          agreements,
          findings);
    }
  }

  private Path directory(Variation variation, int number) {
    return runs(Arm.id(Arm.name(variation, Arm.REINFORCED), number));
  }

  private Checkpoint run(Variation variation, int number) throws IOException {
    return Checkpoint.open(context, directory(variation, number));
  }

  /** Returns the mean over the layers that have each direction. */
  private static Map<String, Double> along(CurvatureStudy curvature) {
    Map<String, Double> means = new LinkedHashMap<>();
    for (Along direction : Along.values()) {
      curvature.layers().stream()
          .filter(layer -> layer.directions().along().containsKey(direction))
          .mapToDouble(layer -> layer.directions().along().get(direction).value())
          .average()
          .ifPresent(mean -> means.put(direction.label(), mean));
    }
    return means;
  }

  private CurvatureStudy curvature(
      Behaviour behaviour, Decoder model, Checkpoint before, Checkpoint after) throws IOException {
    Path file = directory.resolve("capture.safetensors");
    Path kept = directory.resolve("curvature");
    try {
      CaptureFile.write(
          model,
          behaviour.texts(),
          name -> name.endsWith("_proj.weight"),
          false,
          options.seed(),
          file);
      try (Capture capture = Capture.open(context, file);
          Journal<LayerCurvature> journal =
              Journal.open(kept, LayerCurvature.class, file.toString(), false)) {
        return journal.during(
            () ->
                CurvatureStudy.of(
                    context,
                    new CurvatureInputs(capture, before, after, ALL),
                    CurvatureOptions.DEFAULT,
                    journal,
                    Progress.NONE,
                    control));
      }
    } finally {
      Files.deleteIfExists(file);
    }
  }
}
