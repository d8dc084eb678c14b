/** Completions of problems, and what they are worth. */
package org.threegate.rl.rollout;
