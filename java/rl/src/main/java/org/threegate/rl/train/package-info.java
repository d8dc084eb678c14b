/** Training loops: sample completions, verify them, and update the policy. */
package org.threegate.rl.train;
