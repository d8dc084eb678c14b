package org.threegate.rl.observe;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;

/**
 * Answers GET and HEAD on the loopback interface, from one thread that waits for nobody: a client
 * that is slow has a deadline, of too many the one that came first goes, and what each may send and
 * be sent is bounded.
 */
final class LoopbackServer implements AutoCloseable {
  /** Time from the connection to the last byte of the answer. */
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  /** Time for the client to close after that. */
  private static final Duration FAREWELL = Duration.ofSeconds(1);

  private static final int MOST_CONNECTIONS = 64;
  private static final int PAUSE_MILLIS = 100;

  private final Selector selector;
  private final ServerSocketChannel listener;
  private final Function<HttpRequest, HttpAnswer> pages;
  private final long patience;
  private final Deque<Connection> connections = new ArrayDeque<>();
  private final Thread thread = new Thread(this::run, "threegate-page");
  private volatile boolean closing;

  private LoopbackServer(
      Selector selector,
      ServerSocketChannel listener,
      Function<HttpRequest, HttpAnswer> pages,
      Duration patience) {
    this.selector = selector;
    this.listener = listener;
    this.pages = pages;
    this.patience = patience.toNanos();
  }

  /**
   * @param port to listen on; 0: one that is free
   * @param pages the answer to a request that is valid, for this host, and a GET or HEAD
   */
  static LoopbackServer open(int port, Function<HttpRequest, HttpAnswer> pages) throws IOException {
    return open(port, pages, PATIENCE);
  }

  static LoopbackServer open(int port, Function<HttpRequest, HttpAnswer> pages, Duration patience)
      throws IOException {
    Selector selector = Selector.open();
    try {
      ServerSocketChannel listener = ServerSocketChannel.open();
      try {
        listener.bind(
            new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port));
        listener.configureBlocking(false);
        listener.register(selector, SelectionKey.OP_ACCEPT);
        LoopbackServer server = new LoopbackServer(selector, listener, pages, patience);
        server.thread.setDaemon(true);
        server.thread.start();
        return server;
      } catch (IOException | RuntimeException e) {
        listener.close();
        throw e;
      }
    } catch (IOException | RuntimeException e) {
      selector.close();
      throw e;
    }
  }

  int port() {
    return listener.socket().getLocalPort();
  }

  private void run() {
    try (selector;
        listener) {
      while (!closing) {
        selector.select(connections.isEmpty() ? 0 : PAUSE_MILLIS);
        for (SelectionKey key : selector.selectedKeys()) {
          ready(key);
        }
        selector.selectedKeys().clear();
        long now = System.nanoTime();
        List.copyOf(connections).stream()
            .filter(connection -> connection.deadline - now < 0)
            .forEach(this::drop);
      }
    } catch (IOException e) {
      System.getLogger(LoopbackServer.class.getName())
          .log(System.Logger.Level.WARNING, "the page is no longer served", e);
    } finally {
      List.copyOf(connections).forEach(this::drop);
    }
  }

  private void ready(SelectionKey key) {
    if (key.channel() == listener) {
      accept();
      return;
    }
    Connection connection = (Connection) key.attachment();
    try {
      if (connection.isDone(key)) {
        drop(connection);
      }
    } catch (IOException | CancelledKeyException e) {
      drop(connection); // the client is gone
    }
  }

  private void accept() {
    try {
      SocketChannel channel = listener.accept();
      if (channel == null) {
        return;
      }
      Connection connection = new Connection(channel, System.nanoTime() + patience);
      connections.add(connection);
      channel.configureBlocking(false);
      channel.register(selector, SelectionKey.OP_READ, connection);
      if (connections.size() > MOST_CONNECTIONS) {
        drop(connections.getFirst());
      }
    } catch (IOException e) {
      // The process has no file to spare: another connection gives one up.
      if (connections.isEmpty()) {
        LockSupport.parkNanos(PAUSE_MILLIS * 1_000_000L);
      } else {
        drop(connections.getFirst());
      }
    }
  }

  private void drop(Connection connection) {
    connections.remove(connection);
    try {
      connection.channel.close();
    } catch (IOException e) {
      // It is closed as far as it can be.
    }
  }

  /** One request and its answer. */
  private final class Connection {
    private final SocketChannel channel;
    private final ByteBuffer request = ByteBuffer.allocate(HttpRequest.LONGEST);
    private long deadline;
    private ByteBuffer[] answer = {};
    private boolean answered;

    Connection(SocketChannel channel, long deadline) {
      this.channel = channel;
      this.deadline = deadline;
    }

    /** Does what can be done now; true when nothing is left to do. */
    boolean isDone(SelectionKey key) throws IOException {
      if (answered) {
        // What is still sent is not read by anybody; a reset would take the answer away.
        request.clear();
        return channel.read(request) < 0;
      }
      if (answer.length == 0) {
        int read = channel.read(request);
        if (read <= 0) {
          return read < 0;
        }
        String head =
            new String(request.array(), 0, request.position(), StandardCharsets.ISO_8859_1);
        int end = head.indexOf("\r\n\r\n");
        if (end < 0 && request.hasRemaining()) {
          return false;
        }
        answer = end < 0 ? HttpAnswer.TOO_LONG.bytes(true) : answer(head.substring(0, end));
        key.interestOps(SelectionKey.OP_WRITE);
      }
      channel.write(answer);
      if (answer[answer.length - 1].hasRemaining()) {
        return false;
      }
      answered = true;
      answer = new ByteBuffer[0];
      deadline = Math.min(deadline, System.nanoTime() + FAREWELL.toNanos());
      channel.shutdownOutput();
      key.interestOps(SelectionKey.OP_READ);
      return false;
    }

    private ByteBuffer[] answer(String head) {
      try {
        HttpRequest request = HttpRequest.of(head);
        HttpAnswer answer = request.refusal().orElseGet(() -> pages.apply(request));
        return answer.bytes(!request.method().equals("HEAD"));
      } catch (IllegalArgumentException e) {
        return HttpAnswer.text(HttpAnswer.BAD_REQUEST, "not a request").bytes(true);
      } catch (RuntimeException e) {
        return HttpAnswer.text(HttpAnswer.FAILED, "this page failed").bytes(true);
      }
    }
  }

  @Override
  public void close() {
    closing = true;
    selector.wakeup();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
