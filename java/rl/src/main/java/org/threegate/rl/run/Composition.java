package org.threegate.rl.run;

import java.time.Clock;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.threegate.rl.adapter.AdapterOptions;
import org.threegate.rl.objective.EntropyBonus;
import org.threegate.rl.objective.ImportanceCorrection;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Muon;
import org.threegate.rl.optimizer.Schedule;
import org.threegate.rl.optimizer.Sgd;
import org.threegate.rl.optimizer.UpdateRule;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.task.ChatTemplate;
import org.threegate.rl.train.ReferenceSync;
import org.threegate.rl.train.RewardOptions;
import org.threegate.rl.train.SupervisedOptions;
import org.threegate.rl.train.TrainingOptions;
import org.threegate.run.InvalidInputException;

/** Turns a configuration into the options of the parts that a run is composed of. */
final class Composition {
  private Composition() {}

  static SamplingOptions sampling(TrainingConfig config, List<Integer> ends) {
    TrainingConfig.Generation generation = config.generation();
    return SamplingOptions.builder(generation.maxCompletionLength(), ends)
        .temperature(generation.temperature())
        .topP(generation.topP())
        .topK(generation.topK())
        .minP(generation.minP())
        .repetitionPenalty(generation.repetitionPenalty())
        .stopStrings(generation.stopStrings())
        .build();
  }

  static PolicyObjective objective(TrainingConfig config) {
    TrainingConfig.Objective chosen = config.objective();
    TrainingConfig.Smooth smooth = chosen.smooth();
    TrainingConfig.Correction correction = chosen.correction();
    PolicyObjective.Builder builder =
        PolicyObjective.builder()
            .loss(chosen.lossType())
            .level(chosen.importanceSamplingLevel())
            .clip(chosen.epsilon(), chosen.epsilonHigh().orElse(chosen.epsilon()))
            .maxCompletionLength(config.generation().maxCompletionLength())
            .soft(
                new PolicyObjective.Soft(
                    smooth.sapoTemperatureNeg(),
                    smooth.sapoTemperaturePos(),
                    smooth.vespoKPos(),
                    smooth.vespoLambdaPos(),
                    smooth.vespoKNeg(),
                    smooth.vespoLambdaNeg()))
            .entropyBonus(entropyBonus(chosen.entropy()))
            .topEntropyQuantile(chosen.entropy().topEntropyQuantile());
    chosen.delta().ifPresent(builder::delta);
    if (!chosen.reference().useKlInReward()) {
      builder.penalty(penalty(chosen.reference()));
    }
    correction.offPolicyMaskThreshold().ifPresent(builder::offPolicyMaskThreshold);
    if (correction.vllmImportanceSamplingCorrection()) {
      builder.correction(
          new ImportanceCorrection(
              correction.vllmImportanceSamplingMode(),
              optional(correction.vllmImportanceSamplingClipMin()),
              optional(correction.vllmImportanceSamplingClipMax())));
    }
    return builder.build();
  }

  private static OptionalDouble optional(Optional<Double> value) {
    return value.map(OptionalDouble::of).orElseGet(OptionalDouble::empty);
  }

  private static PolicyObjective.Penalty penalty(TrainingConfig.Reference reference) {
    return new PolicyObjective.Penalty(
        reference.beta(), reference.klEstimator(), reference.useBiasCorrectionKl());
  }

  private static EntropyBonus entropyBonus(TrainingConfig.Entropy entropy) {
    return new EntropyBonus(
        entropy.entropyCoef(),
        entropy.useAdaptiveEntropy()
            ? Optional.of(
                new EntropyBonus.Control(
                    entropy.entropyCoefMin(),
                    entropy.entropyCoefMax(),
                    entropy.entropyCoefDelta(),
                    entropy.entropyTarget()))
            : Optional.empty());
  }

  private static RewardOptions rewards(TrainingConfig config) {
    TrainingConfig.Reward reward = config.data().reward();
    RewardOptions options =
        RewardOptions.DEFAULT
            .withWeights(reward.rewardWeights())
            .withAggregation(reward.multiObjectiveAggregation());
    if (!reward.rewardClipRange().isEmpty()) {
      options =
          options.withBounds(reward.rewardClipRange().get(0), reward.rewardClipRange().get(1));
    }
    TrainingConfig.Reference reference = config.objective().reference();
    return reference.useKlInReward() ? options.withPenalty(penalty(reference)) : options;
  }

  static TrainingOptions reinforcement(TrainingConfig config, List<Integer> ends) {
    TrainingConfig.Advantage advantage = config.objective().advantage();
    TrainingConfig.Reference reference = config.objective().reference();
    TrainingConfig.Optimization optimization = config.optimization();
    TrainingOptions.Builder builder =
        TrainingOptions.builder(
                config.run().maxSteps(),
                config.generation().promptsPerStep(),
                config.generation().numGenerations(),
                sampling(config, ends),
                optimization.learningRate().learningRate(),
                config.run().seed())
            .objective(objective(config))
            .advantages(
                advantage
                    .advEstimator()
                    .rule(advantage.scaleRewards(), advantage.normalizeAdvantages()))
            .rewards(rewards(config))
            .kept(advantage.learnFrom())
            .truncatedMasked(advantage.maskTruncatedCompletions())
            .iterations(optimization.numIterations())
            .miniBatches(optimization.stepsPerGeneration())
            .rounds(config.generation().maxNumGenBatches())
            .rows(optimization.microBatchSize())
            .checkpointed(optimization.gradientCheckpointing())
            .lengthMargin(config.data().reward().softPunishCache())
            .schedule(schedule(config))
            .optimizer(optimizer(config));
    if (reference.syncRefModel()) {
      builder.sync(
          new ReferenceSync(reference.refModelMixupAlpha(), reference.refModelSyncSteps()));
    }
    return builder.build();
  }

  static SupervisedOptions supervision(TrainingConfig config) {
    TrainingConfig.Optimization optimization = config.optimization();
    return new SupervisedOptions(
        config.run().maxSteps(),
        config.generation().promptsPerStep(),
        optimization.microBatchSize(),
        optimization.gradientCheckpointing(),
        config.data().maxPromptLength() + config.generation().maxCompletionLength(),
        optimization.learningRate().learningRate(),
        schedule(config),
        optimizer(config),
        config.run().seed());
  }

  private static Schedule schedule(TrainingConfig config) {
    TrainingConfig.LearningRate rate = config.optimization().learningRate();
    // Each update is one optimizer step.
    long steps = config.updates();
    return switch (rate.lrSchedulerType()) {
      case CONSTANT -> Schedule.constant();
      case CONSTANT_WITH_WARMUP -> Schedule.constant(rate.warmupSteps());
      case LINEAR -> Schedule.linear(rate.warmupSteps(), steps, rate.minLrRate());
      case COSINE -> Schedule.cosine(rate.warmupSteps(), steps, rate.minLrRate());
    };
  }

  private static UpdateRule optimizer(TrainingConfig config) {
    TrainingConfig.Optimization chosen = config.optimization();
    TrainingConfig.Adam adam = chosen.adam();
    TrainingConfig.Sgd sgd = chosen.sgd();
    TrainingConfig.Muon muon = chosen.muon();
    AdamW standard =
        new AdamW(
            adam.adamBeta1(),
            adam.adamBeta2(),
            adam.adamEpsilon(),
            adam.weightDecay(),
            adam.maxGradNorm());
    return switch (chosen.optimizer()) {
      case ADAMW -> standard;
      case SGD ->
          new Sgd(sgd.sgdMomentum(), sgd.sgdNesterov(), adam.weightDecay(), adam.maxGradNorm());
      case MUON ->
          new Muon(
              muon.muonMomentum(),
              muon.muonNesterov(),
              muon.muonNsSteps(),
              muon.muonAdjustLrFn(),
              muon.muonLrRatio(),
              adam.weightDecay(),
              standard);
    };
  }

  static AdapterOptions adapter(TrainingConfig.Adapter adapter) {
    return new AdapterOptions(
        adapter.loraR(),
        adapter.loraAlpha(),
        adapter.useRslora(),
        adapter.loraTargetModules(),
        adapter.initLoraWeights());
  }

  static ChatTemplate.Options chat(TrainingConfig.Chat chat) {
    try {
      return new ChatTemplate.Options(
          Optional.of(chat.systemPrompt()).filter(text -> !text.isEmpty()),
          chat.chatTemplateKwargs());
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("chat_template_kwargs: " + e.getMessage(), e);
    }
  }

  /** Returns the clock of chat templates, which always shows the configured day. */
  static Clock clock(TrainingConfig.Chat chat) {
    return chat.chatTemplateDate()
        .map(LocalDate::atStartOfDay)
        .map(begin -> Clock.fixed(begin.toInstant(ZoneOffset.UTC), ZoneOffset.UTC))
        .orElseGet(Clock::systemDefaultZone);
  }
}
