//go:build race

package ctl

// The race detector has much allocated that otherwise is on the stack or used again.
const allocatedTimes = 2
