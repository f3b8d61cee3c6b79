// Package stat is the statistics of endpoint audits: tests whose error rates hold
// however long an audit runs and whenever somebody looks.
//
// Most of it is testing by betting. A null hypothesis is a game that nobody can win
// on average: each observation has a payoff whose mean, given everything seen before,
// is at most 0 under the null. A [Mixture] bets on these payoffs; its wealth E starts
// at 1, and under the null P(E ever reaches 1/alpha) <= alpha, whatever the stopping
// rule (Ville's inequality; Shafer 2021, Ramdas et al. arXiv 2210.01948). Wealth is
// kept as its natural logarithm. [Betting], [Capability], [Paired] and [Billing] say
// which payoff belongs to which null; [ShiryaevRoberts] turns the same payoffs into a
// detector of change; [Fusion] averages wealths into one verdict.
//
// The rest are batch tests and exact intervals: MMD and total variation by permutation,
// ranks, binomial tails, Clopper-Pearson, Wilson, Newcombe, Fisher.
//
// Nothing here reads a clock or any global source of randomness: the same
// observations in the same order with the same seed give the same bits. Types are not
// safe for concurrent use. What is out of range is an error and changes no state.
package stat
