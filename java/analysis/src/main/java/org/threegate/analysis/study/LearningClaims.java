package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.threegate.analysis.statistics.Verdict;

/** Claims about the accuracy of the models of a study. */
final class LearningClaims {
  private static final RunMeasure ACCURACY = StudyRuns.ACCURACY;

  private final StudyRuns runs;

  LearningClaims(StudyRuns runs) {
    this.runs = runs;
  }

  Draft learning() {
    return Draft.of(
        new StudyClaim(
            "learns",
            "premise",
            "Reinforcement learning with verifiable rewards raises accuracy on unseen problems",
            Verdict.UNDETERMINED,
            StudyRuns.text(
                "pass@1 of the base is %.3f, and %.3f after reinforcement learning (mean over seeds).",
                runs.result().base().mean().value(), runs.mean(ACCURACY, StudyRuns.RLVR)),
            runs.limits(
                "The base already solves most problems within many tries; training makes it give these answers more often."),
            List.of(runs.gain()),
            runs.accuracies()),
        1,
        ACCURACY);
  }

  List<Draft> masks() {
    List<Draft> claims = new ArrayList<>();
    mask(
            "safe-mask-matters",
            "safe",
            "random-safe",
            1,
            "Training only weights that are small or not principal works better than training as many random weights")
        .ifPresent(claims::add);
    mask(
            "principal-mask-hurts",
            "principal",
            "random-half",
            -1,
            "Training only principal weights works worse than training as many random weights")
        .ifPresent(claims::add);
    return claims;
  }

  private Optional<Draft> mask(
      String id, String masked, String random, int sign, String statement) {
    if (!runs.has(masked, random)) {
      return Optional.empty();
    }
    return Optional.of(
        Draft.of(
            new StudyClaim(
                id,
                "section 5, table 4",
                statement,
                Verdict.UNDETERMINED,
                StudyRuns.text(
                    "The mask selects %.0f %% of the weights. %s",
                    100 * runs.arm(masked).get(0).update().trainable(),
                    runs.values(ACCURACY, List.of(masked, random, StudyRuns.RLVR))),
                runs.limits(""),
                List.of(
                    runs.ofAccuracy(masked, StudyRuns.RLVR, false),
                    runs.ofAccuracy(masked, random, true)),
                runs.accuracies()),
            sign,
            ACCURACY));
  }

  /** Each kind of adapter is judged at the rate at which it does best. */
  Optional<Draft> adapters() {
    if (!runs.has("lora", "pissa")) {
      return Optional.empty();
    }
    List<String> lora = rates("lora");
    List<String> pissa = rates("pissa");
    List<String> all = Stream.concat(lora.stream(), pissa.stream()).toList();
    List<Contrast> contrasts = new ArrayList<>();
    contrasts.add(runs.ofAccuracy(best(pissa), best(lora), true));
    boolean swept = all.size() > 2;
    if (swept) {
      contrasts.add(runs.ofAccuracy("pissa", "lora", false));
    }
    RunMeasure divergence =
        RunMeasure.size(
            "KL from the base, nats per token",
            "%.3f",
            run -> run.behaviour().klPerToken().value());
    return Optional.of(
        Draft.of(
            new StudyClaim(
                "pissa-degrades",
                "section 5, figure 10",
                "Adapters that start in the principal directions do worse than those that do not",
                Verdict.UNDETERMINED,
                StudyRuns.text(
                    "%s %s Best: %s and %s.",
                    runs.values(ACCURACY, all),
                    runs.values(divergence, all),
                    runs.title(best(lora)),
                    runs.title(best(pissa))),
                runs.limits(
                    "All adapters have the same rank. PiSSA's factors are larger, so the same rate changes weights more."
                        + (swept
                            ? " The rate of each kind is the one with the best accuracy on the same problems."
                            : " One rate was tried.")),
                contrasts,
                runs.accuracies()),
            -1,
            ACCURACY));
  }

  private List<String> rates(String kind) {
    return Stream.of(kind, kind + "-slow").filter(runs::has).toList();
  }

  private String best(List<String> arms) {
    return arms.stream()
        .max(Comparator.comparingDouble(arm -> runs.mean(ACCURACY, arm)))
        .orElseThrow();
  }
}
