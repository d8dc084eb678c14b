package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Claims about the accuracy of the models of a study. */
final class LearningClaims {
  private final StudyRuns runs;

  LearningClaims(StudyRuns runs) {
    this.runs = runs;
  }

  StudyClaim learning() {
    Mean one = runs.run(StudyRuns.FIRST).behaviour().stored().minus(runs.result().base());
    Mean two = runs.run(StudyRuns.SECOND).behaviour().stored().minus(runs.result().base());
    double z = Math.min(one.z(), two.z());
    return new StudyClaim(
        "learns",
        "premise",
        "Reinforcement learning with verifiable rewards raises accuracy on unseen problems",
        Contrast.verdict(z),
        StudyRuns.text(
            "pass@1 of the base is %.3f. The two seeds add %.3f ± %.3f and %.3f ± %.3f (paired by problem).",
            runs.result().base().mean().value(), one.value(), one.se(), two.value(), two.se()),
        "The base already solves most problems within many tries; training makes it give these answers more often.",
        new StudyClaim.Plot("pass@1, held out", false, runs.accuracies()));
  }

  List<StudyClaim> masks() {
    List<StudyClaim> claims = new ArrayList<>();
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

  private Optional<StudyClaim> mask(
      String id, String masked, String random, int sign, String statement) {
    if (runs.find(masked).isEmpty() || runs.find(random).isEmpty()) {
      return Optional.empty();
    }
    StudyRun own = runs.run(masked);
    Mean usual = runs.betweenRuns(own, runs.run(StudyRuns.FIRST));
    Mean matched = runs.betweenRuns(own, runs.run(random));
    return Optional.of(
        new StudyClaim(
            id,
            "section 5, table 4",
            statement,
            Contrast.verdict(sign * usual.z(), sign * matched.z()),
            StudyRuns.text(
                "With %.0f %% of the weights, pass@1 is %.3f. With as many random weights it is %.3f (difference %.3f ± %.3f), and with all weights %.3f.",
                100 * own.update().trainable(),
                own.behaviour().stored().mean().value(),
                runs.run(random).behaviour().stored().mean().value(),
                matched.value(),
                matched.se(),
                runs.run(StudyRuns.FIRST).behaviour().stored().mean().value()),
            "Each variant has one run. Errors include the difference between two seeds.",
            new StudyClaim.Plot("pass@1, held out", false, runs.accuracies())));
  }

  Optional<StudyClaim> adapters() {
    if (runs.find("lora").isEmpty() || runs.find("pissa").isEmpty()) {
      return Optional.empty();
    }
    Mean difference = runs.betweenRuns(runs.run("lora"), runs.run("pissa"));
    return Optional.of(
        new StudyClaim(
            "pissa-degrades",
            "section 5, figure 10",
            "Adapters that start in the principal directions do worse than those that do not",
            Contrast.verdict(difference.z()),
            StudyRuns.text(
                "At the same rate and rank, pass@1 is %.3f with LoRA and %.3f with PiSSA (difference %.3f ± %.3f). KL from the base is %.3f and %.3f nats per token.",
                runs.run("lora").behaviour().stored().mean().value(),
                runs.run("pissa").behaviour().stored().mean().value(),
                difference.value(),
                difference.se(),
                runs.run("lora").behaviour().klPerToken().value(),
                runs.run("pissa").behaviour().klPerToken().value()),
            "Each adapter has one run at one rate. PiSSA's factors are larger, so the same rate changes weights more.",
            new StudyClaim.Plot("pass@1, held out", false, runs.accuracies())));
  }
}
