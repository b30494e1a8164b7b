{-# LANGUAGE TupleSections #-}
-- Threads, timers, transactions, and a heap that is collected while they run.
module Main (main) where

import Control.Concurrent
import Control.Concurrent.STM
import Control.Exception
import Control.Monad
import Data.IORef
import qualified Data.Map as M
import Foreign.C
import System.IO
import System.Mem
import System.Process
import System.Timeout

foreign import ccall safe "asked_directly" cAsked :: IO CLong
foreign import ccall safe "usleep" cUsleep :: CUInt -> IO CInt

data Tree = Leaf | Node Tree Integer Tree

tree :: Int -> Integer -> Tree
tree 0 _ = Leaf
tree depth n = Node (tree (depth - 1) (2 * n)) n (tree (depth - 1) (2 * n + 1))

total :: Tree -> Integer
total Leaf = 0
total (Node left n right) = total left + n + total right

primes :: [Int]
primes = sieve [2 ..] where sieve (p : rest) = p : sieve [n | n <- rest, n `mod` p /= 0]
                            sieve [] = []

-- A ring through which a number goes.
ring :: Int -> Int -> IO Int
ring size start = do
  first <- newEmptyMVar
  lastOne <- foldM (\from _ -> do to <- newEmptyMVar
                                  _ <- forkIO (takeMVar from >>= putMVar to . (+ 1))
                                  return to) first [1 .. size]
  putMVar first start
  takeMVar lastOne

transactions :: IO Int
transactions = do
  account <- newTVarIO 0
  done <- newTVarIO (0 :: Int)
  forM_ [1 .. 20 :: Int] $ \n -> forkIO $ do
    forM_ [1 .. 200 :: Int] $ \_ -> atomically (modifyTVar' account (+ n))
    atomically (modifyTVar' done (+ 1))
  atomically (readTVar done >>= check . (== 20))
  readTVarIO account

timers :: IO ()
timers = do
  late <- timeout 20000 (threadDelay 10000000)
  early <- timeout 10000000 (threadDelay 2000)
  print (late, early)
  busy <- timeout 50000 (evaluate (length (filter even (scanl (+) 1 [1 .. 10 ^ (15 :: Int)]))) )
  print busy

-- Real threads while others work.
foreignCalls :: IO ()
foreignCalls = do
  answers <- forM [1 .. 8 :: Int] $ \n -> do
    answer <- newEmptyMVar
    _ <- forkOS (cUsleep 3000 >> cAsked >>= putMVar answer . (, n) )
    return answer
  pids <- mapM takeMVar answers
  print (map snd pids, all ((== fst (head pids)) . fst) pids)

killing :: IO ()
killing = do
  seen <- newIORef (0 :: Int)
  threads <- replicateM 10 $ do
    ended <- newEmptyMVar
    thread <- forkFinally (forever (threadDelay 1000) :: IO ()) $ \end -> do
      case fromException <$> either Just (const Nothing) end of
        Just (Just ThreadKilled) -> atomicModifyIORef' seen (\n -> (n + 1, ()))
        _ -> return ()
      putMVar ended ()
    return (thread, ended)
  threadDelay 5000
  mapM_ (killThread . fst) threads
  mapM_ (takeMVar . snd) threads
  readIORef seen >>= print

main :: IO ()
main = do
  hSetBuffering stdout LineBuffering
  ring 2000 5 >>= print
  transactions >>= print
  timers
  foreignCalls
  killing
  answers <- forM [10 .. 16] $ \depth -> do
    answer <- newEmptyMVar
    _ <- forkIO (evaluate (total (tree depth 1)) >>= putMVar answer)
    return answer
  mapM_ (takeMVar >=> print) answers
  performGC
  print (primes !! 1200)
  print (M.foldl' (+) 0 (M.fromList [(n, n * n) | n <- [1 .. 50000 :: Integer]]))
  print (length (show (product [1 .. 3000 :: Integer])))
  outputs <- forM [1 .. 6 :: Int] $ \n -> do
    answer <- newEmptyMVar
    _ <- forkIO (readProcess "/bin/echo" [show n] "" >>= putMVar answer)
    return answer
  mapM takeMVar outputs >>= print
  stuck <- try (newEmptyMVar >>= takeMVar) :: IO (Either BlockedIndefinitelyOnMVar ())
  print stuck
