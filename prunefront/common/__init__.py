"""What every other folder may use: errors, files, arrays, parameters, commands, TensorFlow."""
