# A stand-in for AWS ECS on Fargate and CloudWatch Logs, for tests and for trying things by hand.
# SPDX-License-Identifier: GPL-2.0-or-later
