"""Resource handlers: they do with boto3 what the aws provider does for each type that the program registers.

Plain dictionaries in and out, so that the mock monitor (in process) and the engine (over gRPC) reach the same code.
"""
