require 'typhoeus'

puts "Typhoeus #{Typhoeus::VERSION}"
2.times do
  options = {
    body: '{}',
    fresh_connect: true, forbid_reuse: true, followlocation: false, # careful
  }
  puts Typhoeus.post(ARGV[0], **options).code
end
