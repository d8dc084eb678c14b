package org.threegate.analysis.curvature;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.analysis.statistics.Against;
import org.threegate.analysis.statistics.Claim;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Judge;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.SmallestEffect;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.LayerSamples;
import org.threegate.kernel.Status;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Measures whether an update avoids directions of high curvature. For each captured layer, it
 * compares the curvature along the update and its parts with that along random directions of the
 * same length (arXiv 2511.08567, sections 3 and 4). The comparison is an addition of this project.
 *
 * <pre>{@code
 * try (Capture capture = Capture.open(context, Path.of("capture.safetensors"));
 *     Checkpoint before = Checkpoint.open(context, base);
 *     Checkpoint after = Checkpoint.open(context, tuned);
 *     Journal<LayerCurvature> journal =
 *         Journal.open(Path.of("journal"), LayerCurvature.class, "base against tuned", false)) {
 *   CurvatureStudy study =
 *       CurvatureStudy.of(
 *           context, new CurvatureInputs(capture, before, after, name -> true),
 *           CurvatureOptions.DEFAULT, journal, Progress.NONE, control);
 *   study.findings().forEach(finding -> System.out.println(finding.text()));
 * }
 * }</pre>
 *
 * @param layers curvature of each measured layer
 * @param skipped captured layers that were not measured, with the reason
 * @param accounting where each stored tensor ended
 * @param matched pairs of names that differ by a prefix
 * @param quantized layers that one side only stores in a quantized layout; no claim is judged on
 *     them
 */
public record CurvatureStudy(
    List<LayerCurvature> layers,
    Map<String, String> skipped,
    Accounting accounting,
    List<String> matched,
    Set<String> quantized) {
  private static final String UNCHANGED = "its weights did not change";
  private static final String WEIGHT = ".weight";

  /** Copies the list. */
  public CurvatureStudy {
    layers = List.copyOf(layers);
    matched = List.copyOf(matched);
    quantized = Set.copyOf(quantized);
  }

  /**
   * Measures all captured layers.
   *
   * @param context context that runs the kernels
   * @param inputs capture and checkpoints, which stay open
   * @param options what to measure of each layer
   * @param journal journal of finished layers; layers in it are not measured again
   * @param progress receives the work that is done, layer by layer
   * @param control cancels the study
   * @return the curvature of all layers
   * @throws InvalidInputException if the samples of a layer do not fit its weights, or no layer is
   *     left
   * @throws IOException if the journal cannot be written
   */
  public static CurvatureStudy of(
      Context context,
      CurvatureInputs inputs,
      CurvatureOptions options,
      Journal<LayerCurvature> journal,
      Progress progress,
      Control control)
      throws IOException {
    Capture capture = inputs.capture();
    Checkpoint base = inputs.base();
    Checkpoint tuned = inputs.tuned();
    Predicate<String> selected = inputs.selected();
    Map<String, WeightPair> pairs = new LinkedHashMap<>();
    Set<String> captured =
        capture.layers().stream().map(layer -> layer.name() + WEIGHT).collect(Collectors.toSet());
    Pairing pairing =
        Pairing.whole(
            base,
            tuned,
            selected,
            name ->
                captured.contains(name)
                    ? Optional.empty()
                    : Optional.of("the capture has no such layer"));
    inputs.check().accept(pairing.accounting());
    pairing.pairs().forEach(pair -> pairs.put(pair.name(), pair));
    Set<String> quantized = new HashSet<>();
    LayerExperiment experiment = new LayerExperiment(context, capture.kind(), options, control);
    List<LayerCurvature> layers = new ArrayList<>();
    Map<String, String> skipped = new LinkedHashMap<>();
    long total = capture.layers().stream().mapToLong(CurvatureStudy::work).sum();
    long done = 0;
    for (Capture.Layer layer : capture.layers()) {
      progress.at(layer.name(), done, total);
      done += work(layer);
      WeightPair pair = pairs.get(layer.name() + WEIGHT);
      if (!selected.test(layer.name() + WEIGHT)) {
        continue;
      }
      if (pair == null) {
        throw new InvalidInputException(
            capture.path()
                + ": layer \""
                + layer.name()
                + "\": the checkpoints have no matrix \""
                + layer.name()
                + WEIGHT
                + "\" in common");
      }
      if (pair.isQuantizedOnOneSide()) {
        quantized.add(layer.name());
      }
      Optional<LayerCurvature> before =
          journal.finished().stream()
              .filter(finished -> finished.name().equals(layer.name()))
              .findFirst();
      if (before.isPresent()) {
        layers.add(before.get());
        continue;
      }
      try (TensorPair opened = pair.open(context)) {
        Optional<String> reason =
            reasonToSkip(Bf16Diff.compare(context, opened.base(), opened.tuned()));
        if (reason.isPresent()) {
          skipped.put(layer.name(), reason.get());
          continue;
        }
        LayerCurvature measured = measure(experiment, capture, layer, opened);
        journal.add(measured);
        layers.add(measured);
      }
    }
    progress.at("", total, total);
    if (layers.isEmpty()) {
      throw nothingToMeasure(inputs, skipped);
    }
    capture.check();
    base.check();
    tuned.check();
    return new CurvatureStudy(layers, skipped, pairing.accounting(), pairing.matched(), quantized);
  }

  private static InvalidInputException nothingToMeasure(
      CurvatureInputs inputs, Map<String, String> skipped) {
    String capture = inputs.capture().path() + ": none of its layers ";
    return skipped.entrySet().stream()
        .filter(layer -> !layer.getValue().equals(UNCHANGED))
        .findFirst()
        .map(
            layer ->
                new InvalidInputException(
                    capture
                        + "can be measured; layer \""
                        + layer.getKey()
                        + "\": "
                        + layer.getValue()))
        .orElseGet(
            () ->
                new InvalidInputException(
                    capture
                        + "changed between "
                        + inputs.base().path()
                        + " and "
                        + inputs.tuned().path()));
  }

  /** Returns why a layer is not measured; empty if it is. A base of zeros has no directions. */
  private static Optional<String> reasonToSkip(Bf16Diff.Result diff) {
    if (diff.changedStored() == 0) {
      return Optional.of(UNCHANGED);
    }
    if (diff.nonFinite() > 0) {
      return Optional.of("it has non-finite entries");
    }
    return diff.baseSquares() == 0 ? Optional.of("its base is zero") : Optional.empty();
  }

  /** Returns the number of multiplications for one direction. */
  private static long work(Capture.Layer layer) {
    LayerSamples samples = layer.samples();
    return samples.tokens() * samples.inputs() * samples.outputs();
  }

  private static LayerCurvature measure(
      LayerExperiment experiment, Capture capture, Capture.Layer layer, TensorPair pair) {
    // gᵀ V x = xᵀ Vᵀ g, so for weights that are stored transposed, swap inputs and gradients.
    LayerSamples samples = layer.samples();
    Capture.Layer own =
        pair.transposed()
            ? new Capture.Layer(
                layer.name(),
                new LayerSamples(samples.gradient(), samples.input()),
                layer.sequences())
            : layer;
    try {
      return experiment.measure(own, pair.kind().label(), pair.base(), pair.tuned());
    } catch (IllegalArgumentException e) {
      throw refused(capture, layer, e);
    } catch (KernelException e) {
      throw e.status() == Status.INVALID_ARGUMENT ? refused(capture, layer, e) : e;
    }
  }

  private static InvalidInputException refused(
      Capture capture, Capture.Layer layer, RuntimeException why) {
    return new InvalidInputException(
        capture.path() + ": layer \"" + layer.name() + "\": " + why.getMessage(), why);
  }

  /**
   * {@return the sum over layers of the divergence that each layer causes alone, in nats per token}
   * Interactions between layers are not included.
   */
  public double klOfLayersAlone() {
    return layers.stream().mapToDouble(layer -> layer.klAlone().value()).sum();
  }

  /**
   * {@return the KL divergence that the updates of all measured layers cause together, to second
   * order, in nats per token} It is empty if the layers were captured on different sequences.
   */
  public Optional<ClusteredMean> klTogether() {
    Map<Long, LayerCurvature.Sequence> sums = new LinkedHashMap<>();
    for (LayerCurvature layer : layers) {
      layer.sequences().forEach(own -> sums.merge(own.id(), own, LayerCurvature.Sequence::and));
      if (layer.sequences().size() != sums.size()
          || layer.sequences().stream()
              .anyMatch(own -> own.tokens() != sums.get(own.id()).tokens())) {
        return Optional.empty();
      }
    }
    return Optional.of(LayerCurvature.klAlone(List.copyOf(sums.values())));
  }

  /** {@return the verdicts on two claims, by the rule of {@link Judge}} */
  public List<Finding> findings() {
    return findings(SmallestEffect.DEFAULT);
  }

  /**
   * {@return the verdicts on two claims, by the rule of {@link Judge}}
   *
   * @param smallest smallest effects of interest
   */
  public List<Finding> findings(SmallestEffect smallest) {
    return Judge.findings(
        List.of(
            claim(
                "low-curvature",
                "The update avoids directions of high curvature",
                -1,
                Along.UPDATE,
                Along.ISOTROPIC,
                Along.SPECTRUM_MATCHED,
                Along.SIGN_FLIPPED),
            claim(
                "principal-curvature",
                "The principal part of the update has higher curvature than the rest of the update",
                1,
                Along.PRINCIPAL,
                Along.COMPLEMENT,
                Along.RANDOM_SUBSPACE)),
        smallest);
  }

  private Claim claim(String id, String statement, int sign, Along observed, Along... nulls) {
    List<Claim.Test> tests = new ArrayList<>();
    List<LayerCurvature> judged =
        layers.stream().filter(layer -> !quantized.contains(layer.name())).toList();
    for (LayerCurvature layer : judged) {
      List<Against> against = new ArrayList<>();
      for (Along other : nulls) {
        layer
            .compared(observed, other)
            .ifPresent(comparison -> against.add(against(layer, comparison)));
      }
      if (!against.isEmpty()) {
        tests.add(
            new Claim.Test(
                layer.name(),
                Claim.Place.of(layer.kind(), layer.name()),
                layer.directions().along().get(observed).value(),
                // The first null is the reference in common use.
                Optional.of(against.get(0)),
                against,
                1));
      }
    }
    List<String> excluded = new ArrayList<>();
    if (tests.size() < judged.size()) {
      excluded.add((judged.size() - tests.size()) + " layers without such a part");
    }
    if (judged.size() < layers.size()) {
      excluded.add((layers.size() - judged.size()) + " layers that one side only stores quantized");
    }
    return new Claim(
        id,
        statement,
        new Claim.Measure("curvature along the direction", "", SmallestEffect.Scale.RATIO),
        sign,
        tests,
        String.join("; ", excluded));
  }

  private static Against against(LayerCurvature layer, LayerCurvature.Comparison comparison) {
    Along other = comparison.second();
    LayerCurvature.Directions directions = layer.directions();
    double mean = directions.along().get(other).value();
    Optional<Double> spread = Optional.ofNullable(directions.drawSd().get(other));
    return new Against(
        spread
            .map(sd -> new NullEstimate(other.label(), directions.draws(), mean, sd))
            .orElseGet(
                () ->
                    NullEstimate.analytic(
                        other.label(), mean, comparison.paired().difference().se())),
        comparison.effect());
  }
}
