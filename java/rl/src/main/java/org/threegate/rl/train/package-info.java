/** The loop: sample, verify, learn. */
package org.threegate.rl.train;
