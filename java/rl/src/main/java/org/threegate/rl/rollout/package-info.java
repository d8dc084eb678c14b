/** Sampling of completions, and their scores. */
package org.threegate.rl.rollout;
