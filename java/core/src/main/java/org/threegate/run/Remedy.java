package org.threegate.run;

/**
 * What a caller can do about an input that was refused. Libraries name a remedy in neutral words; a
 * program says it in terms of its own options.
 */
public enum Remedy {
  /** Run again and continue from the journal of the interrupted run. */
  RESUME("run it again and resume"),
  /** Run again and ignore the journal of the interrupted run. */
  START_AGAIN("do not resume, to begin anew"),
  /** Pass the adapter from before training beside the trained one. */
  NAME_INITIAL_ADAPTER("name the adapter as it was before training"),
  /** Do not pass an initial adapter, which only an adapter has. */
  LEAVE_OUT_INITIAL_ADAPTER("leave out the initial adapter, which is of one"),
  /** Choose an output directory that does not exist. */
  CHOOSE_NEW_DIRECTORY("name a new directory"),
  /** Apply a patch although nothing can be verified. */
  ACCEPT_WITHOUT_DIGESTS("ask for it without digests to take it all the same"),
  /** Write the result to a new directory instead of in place. */
  WRITE_ELSEWHERE("copy the model, or write to a new directory");

  private final String words;

  Remedy(String words) {
    this.words = words;
  }

  /** Returns the remedy in words that name no program's options. */
  public String words() {
    return words;
  }
}
