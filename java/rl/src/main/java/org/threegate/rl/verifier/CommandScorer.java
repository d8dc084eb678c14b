package org.threegate.rl.verifier;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.threegate.run.InvalidInputException;

/**
 * Asks a command for scores: a line of JSON for each attempt on its standard input, and a line of
 * JSON on its standard output. One process answers all questions. A process that is late, ends or
 * answers wrongly is killed, and the next question starts another one. The process ends with this
 * object and with the program.
 *
 * <pre>{@code
 * try (CommandScorer scorer =
 *     CommandScorer.start(List.of("python3", "reward.py"), Duration.ofSeconds(5))) {
 *   double score = scorer.score(new Attempt("46", "46")).value();
 * }
 * }</pre>
 */
public final class CommandScorer implements Scorer, AutoCloseable {
  private final List<String> command;
  private final Duration limit;
  private final ScheduledExecutorService clock =
      Executors.newSingleThreadScheduledExecutor(
          body -> {
            Thread thread = new Thread(body, "threegate-reward-clock");
            thread.setDaemon(true);
            return thread;
          });
  private final Thread hook = new Thread(this::kill, "threegate-reward-end");
  private volatile Optional<Process> running = Optional.empty();
  private InputStream answers = InputStream.nullInputStream();
  private volatile boolean closed;
  private long asked;

  private CommandScorer(List<String> command, Duration limit) {
    this.command = List.copyOf(command);
    this.limit = limit;
  }

  /**
   * Starts a command.
   *
   * @param command the program and its arguments. No shell is involved
   * @param limit the time after which a process that has not answered is killed
   * @return the reward function, which the caller closes
   * @throws InvalidInputException when the command cannot be started
   */
  public static CommandScorer start(List<String> command, Duration limit) {
    CommandScorer scorer = new CommandScorer(command, limit);
    try {
      scorer.process();
    } catch (IOException e) {
      scorer.clock.shutdownNow();
      throw new InvalidInputException("the reward command cannot be started: " + e.getMessage(), e);
    }
    Runtime.getRuntime().addShutdownHook(scorer.hook);
    return scorer;
  }

  @Override
  public boolean isConcurrent() {
    return false;
  }

  @Override
  public synchronized Scores score(Attempt attempt) throws IOException {
    Process process = process();
    long id = ++asked;
    byte[] question = (RewardJson.question(attempt, id) + '\n').getBytes(StandardCharsets.UTF_8);
    // Reading and writing cannot be interrupted; they end with the process.
    Future<?> end = clock.schedule(() -> kill(process), limit.toMillis(), TimeUnit.MILLISECONDS);
    boolean answered = false;
    try {
      OutputStream out = process.getOutputStream();
      out.write(question);
      out.flush();
      Scores scores = RewardJson.answer(line(), where());
      answered = true;
      return scores;
    } catch (InvalidInputException e) {
      throw new IOException(e.getMessage(), e);
    } finally {
      end.cancel(false);
      if (!answered || Thread.interrupted()) {
        // Its next line could be the answer to this question, and it may live for a moment.
        kill(process);
        running = Optional.empty();
      }
    }
  }

  private String where() {
    return "the reward command " + command.get(0);
  }

  private String line() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int c = answers.read(); c != '\n'; c = answers.read()) {
      if (c < 0) {
        throw new IOException(where() + " ended or was late");
      }
      if (line.size() == RewardJson.LONGEST_ANSWER) {
        throw new IOException(
            where() + ": an answer is longer than " + RewardJson.LONGEST_ANSWER + " bytes");
      }
      line.write(c);
    }
    return line.toString(StandardCharsets.UTF_8);
  }

  private Process process() throws IOException {
    if (closed) {
      throw new InterruptedIOException(where() + " is closed");
    }
    if (running.isEmpty() || !running.get().isAlive()) {
      running.ifPresent(CommandScorer::kill);
      Process process =
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
      answers = new BufferedInputStream(process.getInputStream());
      running = Optional.of(process);
      if (closed) {
        kill(process);
      }
    }
    return running.get();
  }

  private void kill() {
    running.ifPresent(CommandScorer::kill);
  }

  /** Kills a process and those that it has started, which could hold its output open. */
  private static void kill(Process process) {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
  }

  @Override
  public void close() {
    closed = true;
    kill();
    clock.shutdownNow();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      return; // the program ends, and the hook runs
    }
  }
}
