package org.threegate.rl.verifier;

/**
 * Scores a response. Anything may be one: a program of your own, too. A loop calls it through a
 * {@link BoundedVerifier}, which survives what it does.
 */
@FunctionalInterface
public interface Verifier {
  /**
   * @param response what the model wrote after the prompt, without the token that ended it
   * @param answer what the problem says is right
   * @return a finite score; 1 for a right answer, 0 for a wrong one
   * @throws Exception when it cannot tell
   */
  double score(String response, String answer) throws Exception;
}
