"""Resource handlers: what the AWS provider does for each type the program registers, done with boto3.

Plain dictionaries in and out, so that the mock monitor (in process) and the engine (over gRPC) reach the same code.
"""
