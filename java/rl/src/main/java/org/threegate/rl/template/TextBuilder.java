package org.threegate.rl.template;

/** Builds a string, and checks the budget before it grows. */
final class TextBuilder {
  private final Budget budget;
  private final StringBuilder text = new StringBuilder();

  TextBuilder(Budget budget) {
    this.budget = budget;
  }

  TextBuilder append(String part) {
    room(part.length());
    text.append(part);
    return this;
  }

  TextBuilder append(int codePoint) {
    room(1);
    text.appendCodePoint(codePoint);
    return this;
  }

  TextBuilder repeat(String part, long count) {
    long times = Math.max(0, count);
    if (part.isEmpty() || times == 0) {
      return this;
    }
    budget.size(times);
    room(times * part.length());
    text.append(part.repeat((int) times));
    return this;
  }

  private void room(long more) {
    budget.size(text.length() + more);
    budget.produce(more);
  }

  int length() {
    return text.length();
  }

  Value.Text text() {
    return new Value.Text(text.toString());
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
