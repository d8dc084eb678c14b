package org.threegate.rl.environment;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedCalls;
import org.threegate.rl.verifier.BoundedCalls.Result;

/**
 * Runs an environment with a time limit for each call. An episode whose call throws an exception,
 * exceeds the limit or returns something that is out of bounds has failed. It is not called again,
 * and is counted.
 *
 * <pre>{@code
 * try (BoundedEnvironment environment =
 *     new BoundedEnvironment(new Calculator(), Duration.ofSeconds(5), 4)) {
 *   List<BoundedEnvironment.Session> sessions = environment.start(problems, new long[] {1});
 *   Reply reply = environment.reply(sessions, List.of("<<12*34>>")).get(0).orElseThrow();
 *   environment.end(sessions);
 * }
 * }</pre>
 */
public final class BoundedEnvironment implements AutoCloseable {
  private static final int LONGEST_MESSAGES = 1 << 20; // characters of a reply
  private static final int MOST_MESSAGES = 100; // of a reply
  private static final int MOST_METRICS = 100; // of a reply
  private static final int LONGEST_NAME = 100; // characters of a metric

  private final Environment environment;
  private final List<String> stops;
  private final boolean scoring;
  private final BoundedCalls calls;

  /**
   * Creates the pool that runs the environment.
   *
   * @param environment the environment. It is closed with the pool if it is {@link AutoCloseable}
   * @param limit the time limit of one call
   * @param threads the number of calls that run at the same time, where the environment allows it
   */
  public BoundedEnvironment(Environment environment, Duration limit, int threads) {
    this.environment = environment;
    this.stops = List.copyOf(environment.stops());
    this.scoring = environment.isScoring();
    this.calls =
        new BoundedCalls(
            "environment", limit, environment.isConcurrent() ? threads : Math.min(threads, 1));
  }

  /** An episode, or its failure. */
  public static final class Session {
    private Optional<Episode> episode = Optional.empty();
    private boolean busy;
    private boolean ended;

    private Session() {}

    /** Takes the episode for a call, unless it is in another one or has ended. */
    private synchronized Optional<Episode> take() {
      Optional<Episode> own = busy || ended ? Optional.empty() : episode;
      busy = own.isPresent();
      return own;
    }

    /** Returns whether the session still waits for its episode. */
    private synchronized boolean give(Episode started) {
      episode = Optional.of(started);
      return !ended;
    }

    /** Returns whether the episode is left to this call, because the session has ended. */
    private synchronized boolean release() {
      busy = false;
      return ended;
    }

    /** Ends the session, and returns its episode unless a call has it. */
    private synchronized Optional<Episode> end() {
      Optional<Episode> own = busy || ended ? Optional.empty() : episode;
      ended = true;
      return own;
    }
  }

  /** {@return whether episodes have rewards} */
  public boolean isScoring() {
    return scoring;
  }

  /** {@return texts that end a turn of the model, besides end tokens} */
  public List<String> stops() {
    return stops;
  }

  /**
   * Starts episodes, several at a time.
   *
   * @param problems the problem of each episode
   * @param seeds the seed of each episode
   * @return the sessions, in the order of the problems. Those of episodes that have not started
   *     have failed
   */
  public List<Session> start(List<Problem> problems, long[] seeds) {
    List<Session> sessions = new ArrayList<>();
    List<Callable<Boolean>> bodies = new ArrayList<>();
    for (int i = 0; i < seeds.length; i++) {
      Session session = new Session();
      Problem problem = problems.get(i);
      long seed = seeds[i];
      sessions.add(session);
      bodies.add(
          () -> {
            Episode episode = environment.start(problem, seed);
            if (!session.give(episode)) {
              episode.close();
            }
            return true;
          });
    }
    List<Result<Boolean>> results = calls.all(bodies);
    for (int i = 0; i < results.size(); i++) {
      if (!(results.get(i) instanceof Result.Returned)) {
        sessions.get(i).end();
      }
    }
    return sessions;
  }

  /**
   * Answers turns, several at a time.
   *
   * @param sessions the sessions
   * @param texts what the model wrote in each of them
   * @return the answers, in the order of the sessions; empty where the episode has failed
   */
  public List<Optional<Reply>> reply(List<Session> sessions, List<String> texts) {
    List<Callable<Optional<Reply>>> bodies = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      Session session = sessions.get(i);
      String text = texts.get(i);
      bodies.add(() -> replied(session, text));
    }
    List<Result<Optional<Reply>>> results = calls.all(bodies);
    List<Optional<Reply>> replies = new ArrayList<>();
    for (int i = 0; i < results.size(); i++) {
      if (results.get(i) instanceof Result.Returned<Optional<Reply>> returned) {
        replies.add(returned.value());
      } else {
        replies.add(Optional.empty());
        end(List.of(sessions.get(i)));
      }
    }
    return replies;
  }

  private static Optional<Reply> replied(Session session, String text) throws Exception {
    Optional<Episode> taken = session.take();
    if (taken.isEmpty()) {
      return Optional.empty();
    }
    try {
      return Optional.of(checked(taken.get().reply(text)));
    } finally {
      if (session.release()) {
        taken.get().close();
      }
    }
  }

  private static Reply checked(Reply reply) {
    long characters =
        reply.messages().stream()
            .mapToLong(message -> message.role().length() + message.content().length())
            .sum();
    if (Double.isInfinite(reply.reward())
        || reply.messages().size() > MOST_MESSAGES
        || characters > LONGEST_MESSAGES
        || reply.metrics().size() > MOST_METRICS
        || reply.metrics().keySet().stream().anyMatch(name -> name.length() > LONGEST_NAME)) {
      throw new IllegalArgumentException("the reply is out of bounds");
    }
    return reply;
  }

  /**
   * Ends sessions and closes their episodes. Sessions that have ended stay as they are.
   *
   * @param sessions the sessions
   */
  public void end(List<Session> sessions) {
    List<Callable<Boolean>> bodies = new ArrayList<>();
    for (Session session : sessions) {
      session
          .end()
          .ifPresent(
              episode ->
                  bodies.add(
                      () -> {
                        episode.close();
                        return true;
                      }));
    }
    calls.all(bodies);
  }

  /** {@return the number of calls so far that threw an exception} */
  public long crashes() {
    return calls.crashes();
  }

  /** {@return the number of calls so far that exceeded the time limit} */
  public long timeouts() {
    return calls.timeouts();
  }

  @Override
  public void close() {
    calls.close();
    if (environment instanceof AutoCloseable resource) {
      try {
        resource.close();
      } catch (Exception e) {
        throw new IllegalStateException("an environment cannot be closed", e);
      }
    }
  }
}
