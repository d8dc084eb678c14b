package org.threegate.rl.observe;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;

/**
 * A page that is drawn anew while a run goes on: each metric over steps, beside its null models. It
 * is served on the loopback interface alone, and to requests that name it as their host alone.
 *
 * <pre>{@code
 * try (LivePage page = LivePage.open(0, 100)) {
 *   System.out.println("watch it at " + page.address());
 *   trainer.run(page);
 * }
 * }</pre>
 */
public final class LivePage implements TrainingObserver, AutoCloseable {
  private static final Pattern FROM = Pattern.compile("from=(\\d{1,9})");
  private static final Pattern LOCAL = Pattern.compile("(127\\.0\\.0\\.1|localhost)(:\\d+)?");
  private static final int NOT_FOUND = 404;
  private static final int FORBIDDEN = 403;
  private static final int OK = 200;

  private final HttpServer server;
  private final ExecutorService threads;
  private final long steps;
  private final byte[] page;
  private final List<String> rows = new ArrayList<>();

  private LivePage(HttpServer server, ExecutorService threads, long steps, byte[] page) {
    this.server = server;
    this.threads = threads;
    this.steps = steps;
    this.page = page;
  }

  /**
   * @param port to listen on; 0: one that is free
   * @param steps of the run in all
   */
  public static LivePage open(int port, long steps) throws IOException {
    byte[] page;
    try (InputStream in = LivePage.class.getResourceAsStream("page.html")) {
      page = in.readAllBytes();
    }
    HttpServer server =
        HttpServer.create(
            new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port), 0);
    ExecutorService threads =
        Executors.newSingleThreadExecutor(
            work -> {
              Thread thread = new Thread(work, "threegate-page");
              thread.setDaemon(true);
              return thread;
            });
    LivePage live = new LivePage(server, threads, steps, page);
    server.setExecutor(threads);
    server.createContext("/", live::answer);
    server.start();
    return live;
  }

  /** Where it is. */
  public URI address() {
    return URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/");
  }

  @Override
  public void on(TrainingEvent event) {
    String row = EventRow.of(event);
    synchronized (rows) {
      rows.add(row);
    }
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String host = String.valueOf(exchange.getRequestHeaders().getFirst("Host"));
      String path = exchange.getRequestURI().getPath();
      // A name that somebody else had resolve to this machine is not ours.
      if (!LOCAL.matcher(host).matches()) {
        send(exchange, FORBIDDEN, "text/plain", "not for " + host);
      } else if (path.equals("/")) {
        send(exchange, OK, "text/html; charset=utf-8", page);
      } else if (path.equals("/events")) {
        exchange.getResponseHeaders().set("x-steps", Long.toString(steps));
        send(exchange, OK, "application/json", events(exchange.getRequestURI().getQuery()));
      } else {
        send(exchange, NOT_FOUND, "text/plain", "nothing here");
      }
    }
  }

  private String events(String query) {
    Matcher from = FROM.matcher(String.valueOf(query));
    synchronized (rows) {
      int begin = from.matches() ? Math.min(rows.size(), Integer.parseInt(from.group(1))) : 0;
      return "[" + String.join(",", rows.subList(begin, rows.size())) + "]";
    }
  }

  private static void send(HttpExchange exchange, int status, String type, String text)
      throws IOException {
    send(exchange, status, type, text.getBytes(StandardCharsets.UTF_8));
  }

  private static void send(HttpExchange exchange, int status, String type, byte[] bytes)
      throws IOException {
    exchange.getResponseHeaders().set("Content-Type", type);
    exchange.getResponseHeaders().set("Cache-Control", "no-store");
    exchange.getResponseHeaders().set("X-Content-Type-Options", "nosniff");
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdown();
  }
}
