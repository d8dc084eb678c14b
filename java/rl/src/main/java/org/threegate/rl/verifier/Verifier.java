package org.threegate.rl.verifier;

/**
 * Scores responses of a model. Implement it to train on rewards of your own. Training calls it
 * through a {@link BoundedVerifier}, which handles exceptions and time limits.
 */
@FunctionalInterface
public interface Verifier extends Scorer {
  /**
   * Scores a response.
   *
   * @param response the text that the model wrote after the prompt, without the end token
   * @param answer the reference answer of the problem
   * @return a finite score, or NaN when there is none; by convention 1 for a correct answer and 0
   *     for a wrong one
   * @throws Exception when the response cannot be scored. It then counts as a crash and scores 0
   */
  double score(String response, String answer) throws Exception;

  @Override
  default Scores score(Attempt attempt) throws Exception {
    return Scores.of(score(attempt.response(), attempt.problem().answer()));
  }
}
