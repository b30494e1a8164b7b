{-# LANGUAGE CApiFFI, ForeignFunctionInterface #-}
-- Files, directories, exceptions, containers, children, and calls of C: its output is always the same.
module Main (main) where

import Control.Exception
import Control.Monad
import qualified Data.ByteString.Char8 as B
import qualified Data.ByteString.Unsafe as U
import Data.List (sort)
import qualified Data.Map.Strict as M
import qualified Data.Set as S
import Foreign.C
import Foreign.Ptr
import System.Directory
import System.Environment
import System.Exit
import System.IO
import System.IO.Error
import System.Posix.Files
import System.Posix.Process
import System.Posix.Signals
import System.Process

foreign import ccall unsafe "getpid" cGetpid :: IO CInt
foreign import ccall safe "syscall" cSyscall :: CLong -> IO CLong
foreign import ccall safe "asked_directly" cAsked :: IO CLong
foreign import ccall "wrapper" comparing :: (Ptr CInt -> Ptr CInt -> IO CInt) -> IO (FunPtr (Ptr CInt -> Ptr CInt -> IO CInt))

data Broken = Broken Int deriving (Show)
instance Exception Broken

pids :: IO ()
pids = do
  own <- fromIntegral <$> cGetpid
  posix <- fromIntegral <$> getProcessID
  number <- cSyscall 39
  asked <- cAsked
  print (posix == number, own == number, asked == number)

files :: FilePath -> IO ()
files folder = do
  createDirectoryIfMissing True (folder ++ "/a/b/c")
  forM_ [1 .. 40 :: Int] $ \n -> writeFile (folder ++ "/a/f" ++ show n) (concatMap show [1 .. n * 50])
  names <- sort <$> listDirectory (folder ++ "/a")
  sizes <- forM (filter ((== 'f') . head) names) $ \name -> fileSize <$> getFileStatus (folder ++ "/a/" ++ name)
  print (length names, sum sizes)
  contents <- B.concat <$> mapM (\name -> B.readFile (folder ++ "/a/" ++ name)) (filter ((== 'f') . head) names)
  print (B.length contents, M.toList (M.fromListWith (+) [(c, 1 :: Int) | c <- B.unpack contents]))
  withFile (folder ++ "/seek") ReadWriteMode $ \file -> do
    hSetBuffering file (BlockBuffering (Just 100))
    forM_ [1 .. 1000 :: Int] (hPrint file)
    hSeek file AbsoluteSeek 500
    hGetLine file >>= putStrLn
  createSymbolicLink "seek" (folder ++ "/link")
  readSymbolicLink (folder ++ "/link") >>= putStrLn
  renameFile (folder ++ "/seek") (folder ++ "/moved")
  doesFileExist (folder ++ "/link") >>= print
  removeDirectoryRecursive (folder ++ "/a")

exceptions :: FilePath -> IO ()
exceptions folder = do
  missing <- try (readFile (folder ++ "/none" ) >>= putStr) :: IO (Either IOException ())
  putStrLn (either (show . isDoesNotExistError) show missing)
  forM_ [0 .. 3 :: Int] $ \n ->
    (when (n > 1) (throwIO (Broken n)) `finally` putStrLn "cleaned") `catch` \e -> print (e :: Broken)
  divided <- try (evaluate (1 `div` (length (show folder) - length (show folder)))) :: IO (Either ArithException Int)
  print divided
  deep <- try (evaluate (foldr (\n rest -> if n == 100000 then throw (Broken n) else n + rest) 0 [1 ..])) :: IO (Either Broken Int)
  print deep

children :: IO ()
children = do
  text <- readProcess "/bin/sh" ["-c", "tr a-z A-Z; echo err >&2; exit 0"] "from a parent\n"
  putStr text
  (status, out, err) <- readProcessWithExitCode "/bin/sh" ["-c", "cat; echo no >&2; exit 3"] (concat (replicate 3000 "0123456789"))
  print (status, length out, err)
  status2 <- system "exit 5"
  print status2
  child <- forkProcess (exitImmediately (ExitFailure 9))
  getProcessStatus True False child >>= print

handlers :: IO ()
handlers = do
  _ <- installHandler sigUSR1 (Catch (hPutStrLn stderr "a signal")) Nothing
  getProcessID >>= signalProcess sigUSR1
  _ <- installHandler sigPIPE Ignore Nothing
  return ()

callbacks :: IO ()
callbacks = do
  count <- U.unsafeUseAsCStringLen (B.pack (map toEnum [0 .. 255])) (\(_, n) -> return n)
  pointer <- comparing (\_ _ -> return 1)
  print (count, pointer /= nullFunPtr)
  freeHaskellFunPtr pointer

main :: IO ()
main = do
  [folder] <- getArgs
  hSetBuffering stdout LineBuffering
  pids
  files folder
  exceptions folder
  children
  handlers
  callbacks
  print (S.size (S.fromList [a * b | a <- [1 .. 700 :: Int], b <- [1 .. 300]]))
  exitWith (ExitFailure 7)
