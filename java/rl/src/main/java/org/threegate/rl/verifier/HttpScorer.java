package org.threegate.rl.verifier;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.threegate.run.InvalidInputException;

/**
 * Asks a service for scores: a POST of JSON for each attempt, answered with JSON as {@link
 * CommandScorer} is. Redirections are not followed, and answers are bounded in time and size.
 *
 * <pre>{@code
 * Scorer scorer =
 *     new HttpScorer(
 *         java.net.URI.create("http://127.0.0.1:8000/score"), java.time.Duration.ofSeconds(5));
 * }</pre>
 */
public final class HttpScorer implements Scorer {
  private static final int OK = 200;

  private final URI service;
  private final Duration limit;
  private final AtomicLong asked = new AtomicLong();
  private final HttpClient client;

  /**
   * Creates a client. The service is not asked yet.
   *
   * @param service the address, of http or https
   * @param limit the time for one question
   */
  public HttpScorer(URI service, Duration limit) {
    this.service = service;
    this.limit = limit;
    this.client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(limit)
            .build();
  }

  @Override
  public Scores score(Attempt attempt) throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(service)
            .timeout(limit)
            .header("Content-Type", "application/json")
            .POST(
                HttpRequest.BodyPublishers.ofString(
                    RewardJson.question(attempt, asked.incrementAndGet())))
            .build();
    HttpResponse<InputStream> response =
        client.send(request, HttpResponse.BodyHandlers.ofInputStream());
    try (InputStream body = response.body()) {
      // The timeout of the request ends with the headers.
      CompletableFuture.delayedExecutor(limit.toMillis(), TimeUnit.MILLISECONDS)
          .execute(() -> closed(body));
      byte[] bytes = body.readNBytes(RewardJson.LONGEST_ANSWER + 1);
      if (response.statusCode() != OK || bytes.length > RewardJson.LONGEST_ANSWER) {
        throw new IOException(
            service
                + " answers with status "
                + response.statusCode()
                + " or more than "
                + RewardJson.LONGEST_ANSWER
                + " bytes");
      }
      return RewardJson.answer(new String(bytes, StandardCharsets.UTF_8), service.toString());
    } catch (InvalidInputException e) {
      throw new IOException(e.getMessage(), e);
    }
  }

  private static void closed(InputStream body) {
    try {
      body.close();
    } catch (IOException e) {
      return; // it was closed before
    }
  }
}
