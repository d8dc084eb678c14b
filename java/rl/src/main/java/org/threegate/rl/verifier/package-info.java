/** Verifiable rewards: functions that check whether an answer is correct. */
package org.threegate.rl.verifier;
