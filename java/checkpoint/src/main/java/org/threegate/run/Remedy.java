package org.threegate.run;

/**
 * What a caller can do about an input that was refused. Messages of libraries name the remedy in
 * neutral words. A program replaces them by its own options.
 */
public enum Remedy {
  /** Run again and continue from the journal of the interrupted run. */
  RESUME("run it again and resume"),
  /** Run again and ignore the journal of the interrupted run. */
  START_AGAIN("run it again without resuming"),
  /** Pass the adapter from before training beside the trained one. */
  NAME_INITIAL_ADAPTER("give the adapter from before training"),
  /** Do not pass an initial adapter, which only an adapter has. */
  LEAVE_OUT_INITIAL_ADAPTER("do not give an initial adapter"),
  /** Ask for the digest of the tensors, or for none. */
  DIGEST_OF_TENSORS("ask for the digest of the tensors, or for none"),
  /** Choose an output directory that does not exist. */
  CHOOSE_NEW_DIRECTORY("choose a new directory"),
  /** Apply a patch although nothing can be verified. */
  ACCEPT_WITHOUT_DIGESTS("allow patches without digests to apply it"),
  /** Write the result to a new directory instead of in place. */
  WRITE_ELSEWHERE("copy the model, or write to a new directory");

  private final String words;

  Remedy(String words) {
    this.words = words;
  }

  /** {@return the remedy in words that name no program's options} */
  public String words() {
    return words;
  }
}
