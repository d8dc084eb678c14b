/** Training runs: their configuration, their parts and their files. */
package org.threegate.rl.run;
