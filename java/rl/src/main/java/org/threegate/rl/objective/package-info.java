/** Objectives: pure functions of log-probabilities, advantages and masks. */
package org.threegate.rl.objective;
